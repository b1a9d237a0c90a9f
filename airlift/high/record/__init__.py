"""What an enclave tells of itself: answers, changes, receipts, exports, report, copies of the ledger (SPEC 9, 15)."""
