"""What an enclave tells: answers, changes, receipts, requests, exports, report, copies of the ledger (SPEC 9, 15)."""
