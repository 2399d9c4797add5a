"""Answers every question for a name on this link, as Responder does; tells of each question that it hears."""
import select
import socket
import struct
import sys

interface = sys.argv[1]
index = socket.if_nametoindex(interface)
LLMNR, MDNS, NETBIOS = 5355, 5353, 137
IP_RECVTTL = 12
ADDRESS = {1: socket.inet_aton("192.0.2.66"), 28: socket.inet_pton(socket.AF_INET6, "fe80::66")}


def joined(port, v4=None, v6=None):
    family = socket.AF_INET6 if v6 else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if v6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        membership = socket.inet_pton(family, v6) + struct.pack("@I", index)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if v4:
            membership = socket.inet_aton(v4) + socket.inet_aton("0.0.0.0") + struct.pack("@i", index)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership)
    s.bind(("", port))
    return s


sockets = {
    joined(LLMNR, v4="224.0.0.252"): (LLMNR, None),
    joined(LLMNR, v6="ff02::1:3"): (LLMNR, None),
    joined(MDNS, v4="224.0.0.251"): (MDNS, ("224.0.0.251", MDNS)),
    joined(MDNS, v6="ff02::fb"): (MDNS, ("ff02::fb", MDNS, 0, index)),
    joined(NETBIOS): (NETBIOS, None),
}
other = [s for s, (port, group) in sockets.items() if group and len(group) == 2][0]
told_junk = False
print("ready", flush=True)
while True:
    for s in select.select(list(sockets), [], [])[0]:
        port, group = sockets[s]
        question, ancillary, _, peer = s.recvmsg(9000, 64)
        if question[2] & 0x80:
            continue
        name, kind = question[12:-4], struct.unpack("!H", question[-4:-2])[0]
        hops = struct.unpack("@i", ancillary[0][2])[0]
        print(port, kind, hops, len(peer), name.hex(), flush=True)
        if port == NETBIOS:
            data = b"\0\0" + ADDRESS[1]
            answer = question[:2] + b"\x85\0\0\0\0\1\0\0\0\0" + name
        else:
            data = ADDRESS[kind]
            head = b"\x80\0\0\1\0\1\0\0\0\0" + question[12:] if port == LLMNR else b"\x84\0\0\0\0\1\0\0\0\0" + name
            answer = (question[:2] if port == LLMNR else b"\0\0") + head + (b"\xc0\x0c" if port == LLMNR else b"")
        answer += struct.pack("!HHIH", kind, 1, 30, len(data)) + data
        for _ in range(2):
            s.sendto(answer, group or peer)
        if not told_junk and port == LLMNR and len(peer) == 2:
            told_junk = True
            s.sendto(b"junk", peer)
            # What others ask and tell each other.
            s.sendto(b"\0\7\0\0\0\1\0\0\0\0\0\0\6laptop\0\0\1\0\1", ("224.0.0.252", LLMNR))
            other.sendto(b"\0\0\0\0\0\1\0\0\0\0\0\0\6laptop\5local\0\0\1\0\1", ("224.0.0.251", MDNS))
            other.sendto(
                b"\0\0\x84\0\0\0\0\1\0\0\0\0\7printer\5local\0\0\1\x80\1\0\0\0x\0\4" + ADDRESS[1], ("224.0.0.251", MDNS)
            )
