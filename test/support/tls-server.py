"""A TLS server: appends what its clients send to a file, in the order of its coming.

    tls-server.py OUTPUT CERT KEY [CLIENTS_AUTHORITY] [tls1.2] [no-tickets]

Prints its port when it listens. With CLIENTS_AUTHORITY it takes only clients with a certificate of that authority.
"""

import socket
import ssl
import sys
import threading

output, cert, key, *options = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
for option in options:
    if option == "tls1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    elif option == "no-tickets":
        context.num_tickets = 0
    else:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(option)


def serve(raw):
    try:
        with context.wrap_socket(raw, server_side=True) as client, open(output, "ab", buffering=0) as file:
            while received := client.recv(65536):
                file.write(received)
    except OSError as error:
        print(error, file=sys.stderr)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
