# Plays the low side for docs/guide-high.md: a depot, and discs for an enclave named alpha. Run it in an empty folder.
set -eu
stack=$(cd "$(dirname "$0")/../stack" && pwd)
airlift() { command airlift "$@" --quiet > /dev/null; }

release() { # NUMBER: release what lies in low/models, with two signatures
  airlift low draft low/models/base low/models/guard --output "low/$1.yaml"
  sed -i 's/^release: release/release: assistant/; s/level: FILL-IN/level: UNCLASSIFIED/' "low/$1.yaml"
  grep -q ^requires "low/$1.yaml" || echo 'requires: [{component: base, needs: guard, version: ">=1"}]' >> "low/$1.yaml"
  airlift low release "low/$1.yaml" --key low/keys/cy.key --key low/keys/di.key
  airlift low scan "assistant@$1" --key low/keys/scanner.key
}

export AIRLIFT_DEPOT=low/depot
for holder in ada bo cy di build scanner; do airlift keys generate $holder --out low/keys --no-passphrase; done
airlift low init --root-key low/keys/ada.key --root-key low/keys/bo.key --root-threshold 2 \
  --release-key low/keys/cy.key --release-key low/keys/di.key --release-threshold 2 --bundler-key low/keys/build.key

mkdir low/models
cp -r "$stack/base-1.0" low/models/base
cp -r "$stack/guard-2.0" low/models/guard
release 1
airlift low bundle assistant@1 --for alpha --bundler-key low/keys/build.key --volume-size 2.5MB --output discs/first

rm -r low/models/base low/models/guard
cp -r "$stack/base-1.0.1" low/models/base
cp -r "$stack/guard-2.1" low/models/guard
release 2
airlift low bundle assistant@2 --for alpha --from assistant@1 --bundler-key low/keys/build.key --output discs/second

cp low/depot/root.json root.json
command airlift low status --format json | sed 's/.*"fingerprint": "\([0-9a-f]*\)".*/\1/' > fingerprint.txt
