#!/bin/sh
# Runs an independent checker on a PDF; used by the tests. Makes pyHanko's environment when missing.
#   oracles.sh validate CA.pem FILE.pdf   all signatures valid and trusted, by pyHanko
#   oracles.sh validate-stamped CA.pem TSA.pem FILE.pdf   the same, timestamps trusted too
#   oracles.sh ades CA.pem TSA.pem FILE.pdf [OPTION…]   verdicts of EN 319 102-1 with what the file itself carries, by pyHanko
#   oracles.sh token TSA.pem TOKEN.der DATA   the timestamp token is over these data, by OpenSSL
#   oracles.sh structure FILE.pdf         well-formed, by qpdf
#   oracles.sh text FILE.pdf              text of all pages, by poppler
#   oracles.sh attachments FILE.pdf       attachment names, by qpdf
#   oracles.sh cades CA.pem CMS.der CONTENT   the CMS object holds as CAdES, by OpenSSL
#   oracles.sh python ARGUMENT…           Python with pyHanko
#   oracles.sh openssl COMMAND…           OpenSSL
#   oracles.sh ses < LIST                 seal data of GB/T 38540, by BouncyCastle (see SesOracle.java)
#   oracles.sh cms < LIST                 signatures of PDFs, by BouncyCastle (see CmsOracle.java)
#   oracles.sh rewrite IN.pdf OUT.pdf OPTION…  another form of the same PDF, by qpdf
set -eu
venv=${QZ_VENV:-$HOME/.cache/qizheng-venv}

need() {
    command -v "$1" >/dev/null || { echo "$1 is missing: apt-get install $2" >&2; exit 3; }
}

environment() {
    if [ ! -x "$venv/bin/pyhanko" ]; then
        need python3 python3-venv
        # One maker at a time; the others wait for its lock.
        mkdir -p "$(dirname "$venv")"
        (
            flock 9
            if [ ! -x "$venv/bin/pyhanko" ]; then
                python3 -m venv "$venv" || { echo "apt-get install python3-venv" >&2; exit 3; }
                "$venv/bin/pip" install -q pyhanko pyhanko-cli || { echo "pip install pyhanko pyhanko-cli failed" >&2; exit 3; }
            fi
        ) 9>"$venv.lock" >&2
    fi
}

pyhanko() {
    environment
    "$venv/bin/pyhanko" "$@"
}

case "$1" in
    validate) pyhanko sign validate --pretty-print --trust "$2" --trust-replace --no-revocation-check "$3" 2>&1 ;;
    validate-stamped) pyhanko sign validate --pretty-print --trust "$2" --trust "$3" --trust-replace --no-revocation-check "$4" 2>&1 ;;
    ades) ca=$2 tsa=$3 file=$4; shift 4; pyhanko sign adesverify --pretty-print --trust "$ca" --trust "$tsa" --trust-replace "$@" "$file" 2>&1 ;;
    token) need openssl openssl; openssl ts -verify -token_in -in "$3" -data "$4" -CAfile "$2" 2>&1 ;;
    structure) need qpdf qpdf; qpdf --check "$2" 2>&1 ;;
    text) need pdftotext poppler-utils; pdftotext -layout "$2" - ;;
    attachments) need qpdf qpdf; qpdf --list-attachments "$2" ;;
    cades) need openssl openssl; openssl cms -verify -cades -binary -inform DER -in "$3" -content "$4" -CAfile "$2" -out /dev/null 2>&1 ;;
    python) environment; shift; exec "$venv/bin/python" "$@" ;;
    openssl) need openssl openssl; shift; openssl "$@" 2>&1 ;;
    ses | cms)
        need javac default-jdk-headless
        jars=/usr/share/java/bcprov.jar:/usr/share/java/bcutil.jar:/usr/share/java/bcpkix.jar
        for jar in $(echo "$jars" | tr : ' '); do
            [ -f "$jar" ] || { echo "BouncyCastle is missing: apt-get install libbcprov-java libbcpkix-java" >&2; exit 3; }
        done
        class=SesOracle
        [ "$1" = ses ] || class=CmsOracle
        exec java -Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8 -XX:TieredStopAtLevel=1 -cp "$jars" "$(dirname "$0")/$class.java"
        ;;
    rewrite) need qpdf qpdf; in=$2 out=$3; shift 3; qpdf "$@" "$in" "$out" 2>&1 ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
esac
