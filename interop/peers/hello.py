"""A REP or a REQ of pyzmq for the hello of autoconfiguration.

    hello.py rep ENDPOINT ANSWER       prints each question as it comes, and answers
    hello.py req ENDPOINT QUESTION     prints the answer
"""

import sys

import zmq


def main():
    kind, endpoint, word = sys.argv[1:]
    with zmq.Context() as context, context.socket(zmq.REP if kind == "rep" else zmq.REQ) as socket:
        socket.linger = 0
        socket.ipv6 = True
        socket.rcvtimeo = 20_000 if kind == "req" else -1
        if kind == "req":
            socket.connect(endpoint)
            socket.send_string(word)
            print(socket.recv_string(), flush=True)
            return
        socket.bind(endpoint)
        print("bound", flush=True)
        while True:
            print(socket.recv_string(), flush=True)
            socket.send_string(word)


main()
