"""Certificates that a TLS client accepts for these names and no others, and keys in the form that Flower reads."""

import contextlib
import socket
import ssl
import stat
import threading

import pytest

from unlearn_core.errors import UnlearnError

pytestmark = pytest.mark.usefixtures("flower")


@pytest.fixture
def made(tmp_path):
    from unlearn_core.federated.certificates import make_certificates

    make_certificates(tmp_path, ["lethe.example", "192.0.2.7"], 2)
    return tmp_path


def handshake(folder, host, authority="ca.crt"):
    """The name of the server that a client reaches under this name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    client = ssl.create_default_context(cafile=str(folder / authority))
    ours, theirs = socket.socketpair()

    def serve():
        with contextlib.suppress(OSError), server.wrap_socket(theirs, server_side=True) as secured:
            secured.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=host) as secured:
            return secured.getpeercert()["subject"][0][0][1]
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("host", ["lethe.example", "192.0.2.7", "localhost", "127.0.0.1"])
def test_the_server_is_known_by_its_names(made, host):
    assert handshake(made, host) == "lethe.example"


def test_under_another_name_or_by_another_authority_it_is_refused(made, tmp_path_factory):
    from unlearn_core.federated.certificates import make_certificates

    with pytest.raises(ssl.SSLCertVerificationError, match="doesn't match|not valid for"):
        handshake(made, "evil.example")
    other = tmp_path_factory.mktemp("other")
    make_certificates(other, ["lethe.example"], 0)
    (made / "other.crt").write_bytes((other / "ca.crt").read_bytes())
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, "lethe.example", "other.crt")


def test_client_keys_are_pairs_that_flower_reads(made):
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
    from flwr.supercore.primitives.asymmetric import uses_nist_ec_curve

    for client in (0, 1):
        private = load_ssh_private_key((made / f"client-{client}.key").read_bytes(), None)
        public = load_ssh_public_key((made / f"client-{client}.pub").read_bytes())
        assert uses_nist_ec_curve(public) and private.public_key() == public


def test_keys_are_their_owners_alone_and_the_authoritys_is_not_kept(made):
    assert not list(made.glob("ca.key"))
    for path in made.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_overwritten(made, capsys):
    from unlearn_core.federated.certificates import main, make_certificates

    before = (made / "ca.crt").read_bytes()
    with pytest.raises(UnlearnError, match="holds certificates already"):
        make_certificates(made, [], 1)
    assert main(["--out", str(made), "--clients", "1"]) == 2
    assert "certificates already" in capsys.readouterr().out
    assert (made / "ca.crt").read_bytes() == before
