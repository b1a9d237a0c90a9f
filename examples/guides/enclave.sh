# Plays both sides for docs/guide-assessor.md: an enclave with a record to be asked. Run it in an empty folder.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
airlift() { command airlift "$@" --quiet > /dev/null; }

sh "$here/discs.sh"
for holder in ledger auditor ina olu; do airlift keys generate $holder --out keys --no-passphrase; done
cat > policy.yaml << 'END'
airlift: 1
enclave: alpha
marking: {levels: [UNCLASSIFIED, CUI], ceiling: {level: CUI, caveats: []}}
attestations:
  scan: {threshold: 1, keys: [low/keys/scanner.pub]}
  approval: {threshold: 2, keys: [keys/ina.pub, keys/olu.pub]}
requires:
  - {kind: model, needs: guard, version: ">=1"}
END
airlift high init --root root.json --expect-fingerprint "$(cat fingerprint.txt)" --name alpha --policy policy.yaml \
  --ledger-key keys/ledger.key

cp -r discs/second forged # somebody changes one byte of a disc on its way
chunk=$(find forged -path '*/chunks/*' | head -n 1)
chmod u+w "$chunk"
printf X | dd of="$chunk" bs=1 seek=100 conv=notrunc 2> /dev/null

for step in first:1 second:2; do
  release=assistant@${step#*:}
  test "$release" = assistant@1 || airlift high import forged 2> forged.txt || test $? = 3
  airlift high import "discs/${step%:*}"
  airlift high activate "$release" 2> refused.txt || test $? = 6 # policy asks for two people, and nobody spoke yet
  for holder in ina olu; do airlift high approve "$release" --key keys/$holder.key --reason "read and agreed"; done
  airlift high activate "$release"
  test "$release" = assistant@2 || airlift provenance witness --key keys/auditor.key --name auditor --output kept.note
done
date -u +%Y-%m-%dT%H:%M:%SZ > then.txt
sleep 1
airlift high rollback --yes
