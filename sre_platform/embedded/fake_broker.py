"""The last resort for a broker: fakeredis as a TCP server, in pure Python, slow, on any platform."""

import sys

from fakeredis import TcpFakeServer


def main(port: int) -> None:
    """Serve on loopback until the process is ended."""
    TcpFakeServer(("127.0.0.1", port), server_type="redis").serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
