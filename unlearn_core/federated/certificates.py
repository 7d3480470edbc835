"""Certificates and keys for a federation across machines: one authority, one SuperLink, a key pair for each SuperNode.

python -m unlearn_core.federated.certificates --out DIR --host NAME_OR_ADDRESS [--host ...] --clients N

For a federation of people who know each other. An organisation with an authority of its own takes its certificates.
"""

import argparse
import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from unlearn_core.errors import UnlearnError

DAYS = 365
"""How long the certificates hold."""

Key = ec.EllipticCurvePrivateKey


def make_certificates(out: Path, hosts: Sequence[str], clients: int) -> list[Path]:
    """Writes authority, server certificate and the clients' keys into a folder; the files.

    `ca.crt` goes to every machine, `client-N.key` to client N alone; everything else stays at the server. The
    authority's own key is used once and never written: nobody can make another certificate with it.

    Args:
        out: Made where it isn't there; must hold none of the files yet.
        hosts: Names and addresses by which the clients reach the server; localhost is always one.
        clients: How many key pairs to make.

    Raises:
        UnlearnError: There are certificates in the folder already.
    """
    if (out / "ca.crt").exists():
        raise UnlearnError(f"{out} holds certificates already; choose another folder or remove them first.")
    out.mkdir(parents=True, exist_ok=True)
    authority, server = _new_key(), _new_key()
    ca = _certificate("Lethe federation", authority.public_key(), "Lethe federation", authority)
    crt = _certificate(
        hosts[0] if hosts else "localhost", server.public_key(), "Lethe federation", authority, hosts
    )
    files = {"ca.crt": ca.public_bytes(Encoding.PEM), "server.crt": crt.public_bytes(Encoding.PEM)}
    files["server.key"] = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for client in range(clients):
        key = _new_key()
        files[f"client-{client}.key"] = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        files[f"client-{client}.pub"] = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return [_written(out / name, content) for name, content in files.items()]


def _new_key() -> Key:
    return ec.generate_private_key(ec.SECP384R1())  # what Flower takes for SuperNodes


def _certificate(
    name: str, public: ec.EllipticCurvePublicKey, issuer: str, signer: Key, hosts: Sequence[str] | None = None
) -> x509.Certificate:
    """A certificate of the authority itself, or of a server that is reached by these names."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=hosts is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(_usage(authority=hosts is None), critical=True)
    )
    if hosts is not None:
        reached = x509.SubjectAlternativeName(
            [_host(h) for h in dict.fromkeys([*hosts, "localhost", "127.0.0.1"])]
        )
        use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(reached, critical=False).add_extension(use, critical=False)
    return builder.sign(signer, hashes.SHA384())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _written(path: Path, content: bytes) -> Path:
    """Writes a new file; a private key is its owner's alone from its first byte on."""
    mode = 0o600 if path.suffix == ".key" else 0o644
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m unlearn_core.federated.certificates",
        description="Make certificates and keys for a federation across machines.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument(
        "--host", action="append", default=[], help="name or address of the server; repeatable"
    )
    parser.add_argument("--clients", type=int, required=True, help="how many SuperNodes get a key pair")
    args = parser.parse_args(argv)
    try:
        files = make_certificates(args.out, args.host, args.clients)
    except UnlearnError as error:
        print(error)
        return 2
    print("\n".join(str(path) for path in files))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
