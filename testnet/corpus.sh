#!/usr/bin/env bash
# Fetches the corpus of PDFs by other producers that the tests read, once: packages pinned by name, version and
# digest, through their registries' own clients, into ~/.cache/qizheng/corpus (or QZ_CORPUS). Nothing of it is
# in the repository. Writes {signed,unsigned}/*.pdf and corpus.json: name, origin, sha256, signed, encrypted.
set -euo pipefail

folder="${QZ_CORPUS:-$HOME/.cache/qizheng/corpus}"
# name  version  sha256 of the archive
PYPI="pyhanko 0.38.0 267d6d3fa460b0f0e9c5362a2d7979dccbe1e6b1f8d89ba0818dd0c45b5f300e
pypdf 7.1.0 ca3fa902369e98a6d2cb7b56396de902b72ef9bb3c1e8706c1bfc7d8bd0cf0d7"
NPM="pdf-parse 1.1.1 ebca13fce97da77fd529f570188aee0fa696d00aac335914cef87d62ac2ac1b1"
pinned="$(printf '%s\n%s\n%s' "$PYPI" "$NPM" "$(sha256sum < "${BASH_SOURCE[0]}")" | sha256sum | cut -d' ' -f1)"

[ "$(cat "$folder/.pinned" 2>/dev/null)" = "$pinned" ] && exit 0
die() { echo "corpus: $*" >&2; exit 1; }
mkdir -p "$folder"
exec 9>"$folder.lock"
flock 9
[ "$(cat "$folder/.pinned" 2>/dev/null)" = "$pinned" ] && exit 0
echo "corpus: fetching PDFs for the tests into $folder (once)"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
check() { # file sha256
    echo "$2  $1" | sha256sum --check --quiet || die "$(basename "$1") is not the pinned archive"
}
python3 -m venv "$work/venv" || die "python3-venv is missing"
while read -r name version digest; do
    "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
        "$name==$version" -d "$work" || die "pip cannot download $name $version"
    check "$work/$name-$version.tar.gz" "$digest"
    mkdir "$work/$name" && tar xzf "$work/$name-$version.tar.gz" -C "$work/$name"
done <<< "$PYPI"
while read -r name version digest; do
    (cd "$work" && npm pack --silent "$name@$version" >/dev/null) || die "npm cannot fetch $name $version"
    check "$work/$name-$version.tgz" "$digest"
    mkdir "$work/$name" && tar xzf "$work/$name-$version.tgz" -C "$work/$name"
done <<< "$NPM"

python3 - "$work" "$folder" <<'PYTHON'
import hashlib, json, pathlib, shutil, sys
work, folder = map(pathlib.Path, sys.argv[1:])
for name in ("signed", "unsigned"):
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).mkdir(parents=True)
rows, seen = [], set()
for package in sorted(p for p in work.iterdir() if p.is_dir() and p.name != "venv"):
    for path in sorted(package.rglob("*.pdf")):
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest in seen or not data:
            continue
        seen.add(digest)
        signed = b"/ByteRange" in data
        name = f"{package.name}-{path.stem}-{digest[:8]}.pdf"
        (folder / ("signed" if signed else "unsigned") / name).write_bytes(data)
        origin = str(path.relative_to(package))
        rows.append({"name": name, "origin": origin, "sha256": digest, "signed": signed, "encrypted": b"/Encrypt" in data})
(folder / "corpus.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False))
print(f"corpus: {len(rows)} files, {sum(r['signed'] for r in rows)} with signatures")
PYTHON
echo "$pinned" > "$folder/.pinned"
