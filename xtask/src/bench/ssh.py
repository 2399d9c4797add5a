"""Logs in to an SSH server over and over with paramiko; prints how long each login took, in seconds."""
import socket
import sys
import threading
import time

import paramiko

port, seconds, clients = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
until = time.monotonic() + seconds
times = []


def client(number):
    attempt = 0
    while time.monotonic() < until:
        attempt += 1
        started = time.monotonic()
        try:
            connection = socket.create_connection(("127.0.0.1", port))
            transport = paramiko.Transport(connection)
            transport.start_client(timeout=10)
            try:
                transport.auth_password("root", f"{number:06}{attempt:06}")
            except paramiko.AuthenticationException:
                times.append(time.monotonic() - started)
            transport.close()
        except (OSError, EOFError, paramiko.SSHException):
            time.sleep(0.01)


threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(" ".join(f"{taken:.6f}" for taken in times))
