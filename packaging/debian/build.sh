#!/usr/bin/env bash
# Builds the Debian package, with nothing but dpkg-dev beside Rust:
#
#   packaging/debian/build.sh [--binary FILE] [--assets DIR] [--output DIR]
#
#   --binary FILE   the binary to package; without it, `cargo build --release --locked`
#   --assets DIR    what the binary would print, made before (man/, completions/, vrl/):
#                   for a binary that does not run on this machine
#   --output DIR    where the package goes; target/debian without it
#
# Paths count from the root of the checkout, where this goes first.
# DEBFULLNAME and DEBEMAIL name the maintainer, DEB_REVISION the package's revision.
# The same commit and binary give the same package, byte for byte.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=packaging/debian
name=vector-entra-id

binary= assets= output=target/debian
while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=${2:?} ;;
    --assets) assets=${2:?} ;;
    --output) output=${2:?} ;;
    *)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
      exit 2
      ;;
  esac
  shift 2
done

if [ -z "$binary" ]; then
  cargo build --release --locked
  binary=${CARGO_TARGET_DIR:-target}/release/$name
fi

if [ -z "$assets" ]; then
  assets=target/assets
  rm -rf "$assets"
  mkdir -p "$assets/completions" "$assets/man"
  "$binary" man --output "$assets/man"
  for shell in bash zsh fish; do
    "$binary" completions "$shell" > "$assets/completions/$shell"
  done
  "$binary" vrl --output "$assets/vrl" > /dev/null
fi

version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
# A pre-release sorts before the release: 1.0.0-rc.1 becomes 1.0.0~rc.1.
version=${version/-/\~}-${DEB_REVISION:-1}
address=${DEBEMAIL:-maintainers@vector-entra-id.invalid}
maintainer="${DEBFULLNAME:-vector-entra-id maintainers} <$address>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Where dpkg-shlibdeps expects a package's files.
root=$work/debian/$name
mkdir -p "$root/DEBIAN"
umask 022

put() { install -D -m "${3:-644}" "$1" "$root/$2"; }
# Without what an editor leaves, and without the repository's own checks.
tree() {
  find "$1" -type f ! -name '.*' ! -name '*~' ! -name '*.sh' -printf '%P\n' |
    while read -r file; do put "$1/$file" "$2/$file"; done
}

put "$binary" usr/bin/$name 755
put packaging/systemd/$name.service usr/lib/systemd/system/$name.service
put packaging/systemd/$name.sysusers usr/lib/sysusers.d/$name.conf
put packaging/systemd/config.yaml.example etc/$name/config.yaml.example
tree "$assets/vrl" usr/share/$name/vrl
tree config-examples usr/share/$name/config-examples
tree index-templates usr/share/$name/index-templates
tree monitoring usr/share/$name/monitoring
put "$assets/completions/bash" usr/share/bash-completion/completions/$name
put "$assets/completions/zsh" usr/share/zsh/vendor-completions/_$name
put "$assets/completions/fish" usr/share/fish/vendor_completions.d/$name.fish
for page in "$assets"/man/*.1; do
  put "$page" "usr/share/man/man1/${page##*/}"
done
gzip -9n "$root"/usr/share/man/man1/*.1

doc=usr/share/doc/$name
put README.md $doc/README.md
put packaging/README.md $doc/README.packaging.md
tree docs $doc/docs
put $here/copyright $doc/copyright
put $here/lintian-overrides usr/share/lintian/overrides/$name
put CHANGELOG.md $doc/changelog
cat > "$work/changelog.Debian" <<EOF
$name ($version) unstable; urgency=medium

  * The release of this version; its changes are in changelog.gz.

 -- $maintainer  $(date -uRd "@$SOURCE_DATE_EPOCH")
EOF
put "$work/changelog.Debian" $doc/changelog.Debian
gzip -9n "$root/$doc/changelog" "$root/$doc/changelog.Debian"

# The libraries that the binary links, with the versions it needs.
printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' $name $name \
  > "$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/$name" |
  sed -n 's/^shlibs:Depends=//p')

# dpkg calls the architecture what the compiler did.
machine=$(LC_ALL=C readelf -h "$binary" | sed -n 's/^ *Machine: *//p')
case $machine in
  *X86-64) architecture=amd64 ;;
  AArch64) architecture=arm64 ;;
  *) architecture=$(dpkg --print-architecture) ;;
esac
cat > "$root/DEBIAN/control" <<EOF
Package: $name
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)
Depends: $libraries, ca-certificates, systemd | systemd-sysusers
Suggests: vector, prometheus
Section: admin
Priority: optional
Description: Microsoft Entra ID logs as a source for Vector
 Streams audits, sign-ins, provisioning, risks and alerts of Microsoft Entra ID
 into a Vector pipeline, over the Microsoft Graph API: every record, once for
 each of its revisions, acknowledged from end to end.
 .
 A VRL program for Vector maps them to Elastic Common Schema. Index templates,
 a dashboard for Grafana and alerts for Prometheus come with it.
EOF
echo "/etc/$name/config.yaml.example" > "$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
  install -m 755 $here/$script "$root/DEBIAN/$script"
done
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) \
  > "$root/DEBIAN/md5sums"

# What is newer than the commit gets its date, so that a package can be built again.
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -print0 |
  xargs -0r touch --no-dereference -d "@$SOURCE_DATE_EPOCH"
mkdir -p "$output"
dpkg-deb --root-owner-group -Zxz --build "$root" \
  "$output/${name}_${version}_$architecture.deb"
