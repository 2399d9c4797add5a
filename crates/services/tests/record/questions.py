"""What is asked of each service: everything that a tester might send before a login, in order and out of it.

Lines are long here: each question is one.
"""

import itertools
import random
import struct

from questions_sip import sip
from questions_sip_both import sip_both
from questions_snmp import snmp
from questions_vnc import vnc, vnc_back_off


def question(name, *steps, finish=False, wait=1.2):
    """`steps` are sent one after the other, each after the silence behind the last; b"" waits for a greeting."""
    waits = wait if isinstance(wait, list) else [wait] * len(steps)
    return {"name": name, "steps": list(steps), "finish": finish, "wait": waits}


def of(service):
    return globals()[service]()


def masks(service):
    return MASKS.get(service, [])


MASKS = {
    "ftp": [],
    "redis": [],
    "vnc": [r"(?:\A\x01\x02|\A\x00\x00\x00\x02|\A)(.{16})\Z"],
    "telnet": [r"Linux (\S+) \((\S+)\) \(pts/(\d+)\)", r"\n(\S+) login: "],
    "http": [
        r"Date: ([^\r]+)\r\n",
        r"Last-Modified: ([^\r]+)\r\n",
        r'ETag: "([^"]+)"',
        r"Accept-Ranges: bytes\r\nContent-Length: (\d+)\r\n",
        r"(<!DOCTYPE html.*)",
        r"Port (\d+)",
        r"Location: http://files01:(\d+)/",
        r'href="http://files01:(\d+)/',
        r"Content-Length: (\d+)\r\n",
        r"bytes \d+-\d+/(\d+)",
    ],
    "mysql": [
        r"MariaDB-0\+deb12u1\x00(.{4})([!-~]{8})\x00",
        r"\x1d\x00\x00\x00([!-~]{12})\x00mysql_native_password",
        r"\xfemysql_native_password\x00([!-~]{20})\x00",
    ],
    "ssh": [r"\x00\x00\x04l\x0b\x14(.{16})"],
}


def ftp():
    verbs = (
        "ABOR ACCT ALLO APPE AUTH CCC CDUP CONF CWD DELE ENC EPRT EPSV FEAT HELP HOST LANG LIST MDTM MFCT MFF MFMT MIC "
        "MKD MLSD MLST MODE NLST NOOP OPTS PASS PASV PBSZ PORT PROT PWD QUIT RANG REIN REST RETR RMD RNFR RNTO SITE "
        "SIZE SMNT STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XMKD XPWD XRMD XSHA1 MACB CLNT AVBL CSID COMB DSIZ "
        "LPRT LPSV ADAT THMB XCRC XMD5 GET POST HEAD OPTIONS FOO SSH-2.0-x P A123456789 123 * ? LOGIN quit\tx"
    ).split(" ")
    for verb in verbs:
        yield question(f"verb {verb}", b"", f"{verb}\r\n".encode())
        yield question(f"verb {verb} with an argument", b"", f"{verb} a b\r\n".encode())
        yield question(f"verb {verb}, name given", b"", b"USER root\r\n", f"{verb}\r\n".encode())
    for argument in ["1,2,3,4,5", "1,2,3,4,5,6", "127,0,0,1,1,1", "a"]:
        yield question(f"PORT {argument}", b"", f"PORT {argument}\r\n".encode())
    for argument in ["|1|127.0.0.1|99|", "|2|::1|99|", "x"]:
        yield question(f"EPRT {argument}", b"", f"EPRT {argument}\r\n".encode())
    lines = {
        "CR alone": b"SYST\r",
        "LF alone": b"SYST\n",
        "CR CR LF": b"SYST\r\r\n",
        "LF LF": b"\n\n",
        "CR LF CR LF": b"\r\n\r\n",
        "leading blank": b" SYST\r\n",
        "trailing blank": b"SYST \r\n",
        "leading tab": b"\tSYST\r\n",
        "NUL inside": b"SY\0ST\r\n",
        "NUL behind": b"SYST\0\r\n",
        "NUL before": b"\0SYST\r\n",
        "bytes above 127": b"\xe4\xf6\xfc\r\n",
        "IAC IP, IAC DM": b"\xff\xf4\xff\xf2ABOR\r\n",
        "UTF-8 name": "USER ünïx\r\n".encode(),
        "HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "TLS hello": bytes.fromhex("16030100a50100")+ bytes(30) + b"\r\n",
        "SSH line": b"SSH-2.0-OpenSSH_9.2\r\n",
        "nmap Help": b"HELP\r\n",
        "nmap RTSP": b"OPTIONS / RTSP/1.0\r\n\r\n",
        "nmap SIP": b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm;branch=foo\r\n\r\n",
        "nmap binary": bytes.fromhex("0000001000000001"),
        "three in one": b"SYST\r\nFEAT\r\nUSER x\r\n",
        "QUIT, then more": b"QUIT\r\nSYST\r\n",
        "1000 blank lines": b"\r\n" * 1000,
        "many commands": b"NOOP\r\n" * 200,
        "USER with a long name": b"USER " + b"a" * 500 + b"\r\n",
        "USER with a longer name": b"USER " + b"a" * 3000 + b"\r\n",
        "verb of 300 bytes": b"V" * 300 + b"\r\n",
        "verb of 5000 bytes without an end": b"V" * 5000,
        "4096 bytes without an end": b"V" * 4096,
        "4095 bytes without an end": b"V" * 4095,
        "format string": b"USER %s%n%x\r\n",
        "USER, blanks": b"USER   root\r\n",
        "AUTH TLS, then hello": b"AUTH TLS\r\n\x16\x03\x01",
        "PBSZ 0 and PROT P": b"PBSZ 0\r\nPROT P\r\n",
        "STAT -l": b"STAT -l\r\n",
        "SITE CHMOD": b"SITE CHMOD 777 x\r\n",
        "SITE EXEC": b"SITE EXEC id\r\n",
        "SITE CPFR": b"SITE CPFR /etc/passwd\r\n",
        "OPTS MLST": b"OPTS MLST type;\r\n",
        "LANG en": b"LANG en\r\n",
        "MDTM with time": b"MDTM 20200101000000 x\r\n",
        "HELP USER": b"HELP USER\r\n",
        "HELP SITE": b"HELP SITE\r\n",
        "TYPE I": b"TYPE I\r\n",
        "EPSV ALL": b"EPSV ALL\r\n",
    }
    for name, line in lines.items():
        yield question(name, b"", line)
        if len(line) < 600:
            yield question(f"{name}, then half-close", b"", line, finish=True, wait=4)
    yield question("half-close at once", b"", finish=True, wait=4)
    yield question("half a command, then half-close", b"", b"USER ro", finish=True, wait=4)
    yield question("USER, half-close", b"", b"USER root\r\nPASS", finish=True, wait=5)
    # Wrong passwords: the server delays each.
    slow = [1.2, 1.2, 9, 1.2, 9, 1.2, 9, 3]
    def login(user, password):
        return f"USER {user}\r\n".encode("latin1"), f"PASS {password}\r\n".encode("latin1")
    yield question("four logins", b"", *login("root", "a"), *login("root", "b"), *login("admin", "c"), b"USER x\r\n", wait=slow)
    for user, password in [("root", ""), ("anonymous", "a@b"), ("ftp", "ftp"), ("", "x"), ("a b", "x y"), ("root\xff", "\xff"),
                           ("nobody", "nobody"), ("x" * 40, "y" * 300), ("root", " "), ("x" * 33, "y")]:
        yield question(f"login {user[:20]!r} {password[:20]!r}", b"", *login(user, password), b"SYST\r\n", wait=[1.2, 1.2, 9, 1.5])
    yield question("login by LF", b"", b"USER root\nPASS x\n", wait=[1.2, 9])
    yield question("login in one segment", b"", b"USER root\r\nPASS x\r\nSYST\r\n", wait=[1.2, 9])
    yield question("login, QUIT behind it", b"", b"USER root\r\nPASS x\r\nQUIT\r\n", wait=[1.2, 9])
    yield question("login, half-close", b"", b"USER root\r\nPASS x\r\n", finish=True, wait=[1.2, 9])
    yield question("PASS without USER, three times", b"", b"PASS a\r\nPASS b\r\nPASS c\r\nPASS d\r\n")
    yield question("USER, other command, PASS", b"", b"USER root\r\n", b"SYST\r\n", b"PASS x\r\n", wait=[1.2, 1.2, 1.2, 9])
    yield question("USER, USER, PASS, PASS", b"", b"USER a\r\nUSER b\r\nPASS x\r\nPASS y\r\n", wait=[1.2, 9])
    yield question("pass in lower case", b"", b"user root\r\npass x\r\n", wait=[1.2, 9])
    yield question("USER with a NUL in it", b"", b"USER ro\0ot\r\nPASS a\0b\r\n", wait=[1.2, 9])
    yield question("command in two pieces", b"", b"US", b"ER root\r\nSY", b"ST\r\n")


def redis():
    def array(*words):
        words = [word if isinstance(word, bytes) else word.encode() for word in words]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    commands = (
        "ACL,APPEND,ASKING,AUTH,BGREWRITEAOF,BGSAVE,BITCOUNT,BITFIELD,BITOP,BITPOS,BLMOVE,BLPOP,BRPOP,BZPOPMIN,CLIENT,CLUSTER,"
        "COMMAND,CONFIG,COPY,DBSIZE,DEBUG,DECR,DECRBY,DEL,DISCARD,DUMP,ECHO,EVAL,EVALSHA,EVAL_RO,EXEC,EXISTS,EXPIRE,EXPIREAT,"
        "EXPIRETIME,FAILOVER,FCALL,FCALL_RO,FLUSHALL,FLUSHDB,FUNCTION,GEOADD,GEODIST,GET,GETBIT,GETDEL,GETEX,GETRANGE,GETSET,HDEL,"
        "HELLO,HEXISTS,HGET,HGETALL,HINCRBY,HKEYS,HLEN,HMGET,HMSET,HRANDFIELD,HSCAN,HSET,HSETNX,HSTRLEN,HVALS,INCR,INCRBY,INFO,"
        "KEYS,LASTSAVE,LATENCY,LCS,LINDEX,LINSERT,LLEN,LMOVE,LMPOP,LOLWUT,LPOP,LPOS,LPUSH,LRANGE,LREM,LSET,LTRIM,MEMORY,MGET,"
        "MIGRATE,MODULE,MONITOR,MOVE,MSET,MSETNX,MULTI,OBJECT,PERSIST,PEXPIRE,PFADD,PFCOUNT,PFDEBUG,PFMERGE,PFSELFTEST,PING,PSETEX,"
        "PSUBSCRIBE,PSYNC,PTTL,PUBLISH,PUBSUB,PUNSUBSCRIBE,QUIT,RANDOMKEY,READONLY,READWRITE,RENAME,RENAMENX,REPLCONF,REPLICAOF,RESET,"
        "RESTORE,RESTORE-ASKING,ROLE,RPOP,RPOPLPUSH,RPUSH,SADD,SAVE,SCAN,SCARD,SCRIPT,SDIFF,SELECT,SET,SETBIT,SETEX,SETNX,SETRANGE,"
        "SHUTDOWN,SINTER,SINTERCARD,SISMEMBER,SLAVEOF,SLOWLOG,SMEMBERS,SMOVE,SORT,SORT_RO,SPOP,SPUBLISH,SREM,SSCAN,SSUBSCRIBE,STRLEN,"
        "SUBSCRIBE,SUBSTR,SUNION,SWAPDB,SYNC,TIME,TOUCH,TTL,TYPE,UNLINK,UNSUBSCRIBE,UNWATCH,WAIT,WAITAOF,WATCH,XACK,XADD,XAUTOCLAIM,"
        "XCLAIM,XDEL,XGROUP,XINFO,XLEN,XPENDING,XRANGE,XREAD,XREADGROUP,XTRIM,ZADD,ZCARD,ZCOUNT,ZDIFF,ZINCRBY,ZINTER,ZMPOP,ZPOPMIN,"
        "ZRANGE,ZRANGEBYLEX,ZRANK,ZREM,ZSCAN,ZSCORE,ZUNION,JSON.SET,FT.SEARCH,TS.ADD,BF.ADD,GRAPH.QUERY,SYSTEM.EXEC,SENTINEL,FOO"
    ).split(",")
    for command in commands:
        for count in range(0, 5):
            words = [command] + ["a", "b", "c", "d"][:count]
            if count % 2:
                yield question(f"array {' '.join(words)}", array(*words))
            else:
                yield question(f"line {' '.join(words)}", " ".join(words).lower().encode() + b"\r\n")
    containers = {
        "ACL": "CAT DELUSER DRYRUN GENPASS GETUSER HELP LIST LOAD LOG SAVE SETUSER USERS WHOAMI",
        "CLIENT": "CACHING GETNAME GETREDIR HELP ID INFO KILL LIST NO-EVICT NO-TOUCH PAUSE REPLY SETINFO SETNAME TRACKING TRACKINGINFO UNBLOCK UNPAUSE",
        "CLUSTER": "ADDSLOTS ADDSLOTSRANGE BUMPEPOCH COUNTKEYSINSLOT FAILOVER FORGET HELP INFO KEYSLOT LINKS MEET MYID MYSHARDID NODES REPLICAS RESET SHARDS SLOTS",
        "COMMAND": "COUNT DOCS GETKEYS GETKEYSANDFLAGS HELP INFO LIST",
        "CONFIG": "GET HELP RESETSTAT REWRITE SET",
        "FUNCTION": "DELETE DUMP FLUSH HELP KILL LIST LOAD RESTORE STATS",
        "LATENCY": "DOCTOR GRAPH HELP HISTOGRAM HISTORY LATEST RESET",
        "MEMORY": "DOCTOR HELP MALLOC-STATS PURGE STATS USAGE",
        "MODULE": "HELP LIST LOAD LOADEX UNLOAD",
        "OBJECT": "ENCODING FREQ HELP IDLETIME REFCOUNT",
        "PUBSUB": "CHANNELS HELP NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB",
        "SCRIPT": "DEBUG EXISTS FLUSH HELP KILL LOAD",
        "SLOWLOG": "GET HELP LEN RESET",
        "XGROUP": "CREATE CREATECONSUMER DELCONSUMER DESTROY HELP SETID",
        "XINFO": "CONSUMERS GROUPS HELP STREAM",
        "DEBUG": "SLEEP SEGFAULT OBJECT RELOAD JMAP",
    }
    for container, subs in containers.items():
        for sub in subs.split():
            for count in (0, 1, 2):
                words = [container, sub] + ["a", "b"][:count]
                yield question(f"sub {' '.join(words)}", array(*words))
    raw = {
        "empty line": b"\r\n", "LF": b"\n", "blanks": b"    \r\n", "PING LF": b"PING\n", "PING CR": b"PING\r", "no end": b"PING",
        "mixed pipeline": array("PING") + b"PING\r\n" + array("AUTH", "x") + b"\r\n" + array("QUIT") + array("PING"),
        "100 PING": b"PING\r\n" * 100, "half array": b"*2\r\n$4\r\nAUTH\r\n$3\r\nab", "*-5": b"*-5\r\nPING\r\n",
        "*0 then PING": b"*0\r\nPING\r\n", "$-5": b"*1\r\n$-5\r\n", "*1 $0": b"*1\r\n$0\r\n\r\nPING\r\n", "%1": b"%1\r\n+a\r\n+b\r\n",
        "~1": b"~1\r\n", "_": b"_\r\n", ",1.5": b",1.5\r\n", "#t": b"#t\r\n", "(1": b"(1\r\n", "=txt": b"=3\r\ntxt\r\n",
        "nested": b"*1\r\n*1\r\n$4\r\nPING\r\n", "int bulk": b"*1\r\n:4\r\nPING\r\n", "*1e1": b"*1e1\r\n", "*0x1": b"*0x1\r\n",
        "* LF": b"*1\n$4\nPING\n", "TLS hello": bytes.fromhex("16030102000100") + bytes(60),
        "SSH": b"SSH-2.0-x\r\n", "HTTP": b"GET / HTTP/1.0\r\n\r\n", "HTTP 1.1": b"GET /a HTTP/1.1\r\nUser-Agent: x\r\nHost: a\r\n\r\n",
        "HTTP POST": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nPING\n", "host: first": b"Host: x\r\n", "OPTIONS": b"OPTIONS / HTTP/1.0\r\n\r\n",
        "RTSP": b"OPTIONS / RTSP/1.0\r\n\r\n", "nmap Help": b"HELP\r\n", "nmap DNS": bytes.fromhex("001e0006010000010000000000000776657273696f6e0462696e640000100003"),
        "nmap SMB": bytes.fromhex("000000a4ff534d4272000000000801400000000000000000000000000000400600000100"),
        "nmap LPD": b"\x01default\n", "nmap LDAP": bytes.fromhex("300c0201016007020103040080000a"), "nmap X11": bytes.fromhex("6c000b000000000000000000"),
        "binary": bytes(range(1, 256)), "binary with LF": bytes(range(11, 256)) + b"\n", "NUL LF": b"\0\n", "quotes": b'AUTH "a b"\r\n', "open quote": b'AUTH "a b\r\n',
        "quote glued": b'AUTH "a"b\r\n', "single": b"AUTH 'a\\'b'\r\n", "hex": b'foo "\\x00\\xff"\r\n', "bad hex": b'foo "\\xzz"\r\n', "tabs": b"foo\ta\tb\r\n",
        "70000 without LF": b"A" * 70000, "65536 without LF": b"A" * 65536, "65537 with LF": b"A" * 65537 + b"\n", "65535 with LF": b"A" * 65535 + b"\r\n", "70000 of *": b"*" + b"1" * 70000,
        "*10 long": b"*10\r\n" + b"$1\r\na\r\n" * 10, "*11": b"*11\r\n" + b"$1\r\na\r\n" * 11, "bulk 16384": b"*2\r\n$4\r\nAUTH\r\n$16384\r\n" + b"a" * 16384 + b"\r\n",
        "bulk 16385": b"*2\r\n$4\r\nAUTH\r\n$16385\r\n" + b"a" * 16385 + b"\r\n", "wrong end": b"*1\r\n$4\r\nPINGab\r\nPING\r\n", "too short": b"*1\r\n$3\r\nPING\r\n", "too long": b"*1\r\n$5\r\nPING\r\nx\r\n",
        "inline after array": array("PING") + b"foo bar\r\n", "upper/lower": b"pInG\r\n", "auth default": array("AUTH", "default", "x"), "auth 4": array("AUTH", "a", "b", "c"),
        "auth inline": b"AUTH s3cret\r\n", "auth empty": array("AUTH", ""), "auth binary": array("AUTH", b"\0\xff"), "auth long": array("AUTH", "x" * 600), "auth user binary": array("AUTH", b"a\r\nb", "x"),
        "hello 3 auth": array("HELLO", "3", "AUTH", "default", "x"), "hello 2 setname": array("HELLO", "2", "SETNAME", "x"), "hello 3 auth short": array("HELLO", "3", "AUTH", "x"),
        "hello 3 auth setname": array("HELLO", "3", "AUTH", "a", "b", "SETNAME", "c d"), "hello empty": array("HELLO", ""), "hello 3.0": array("HELLO", "3.0"), "hello  3": array("HELLO", " 3"), "hello 03": array("HELLO", "03"), "hello +3": array("HELLO", "+3"),
        "unknown long": array("x" * 300, "y" * 300), "unknown many": array("foo", *["arg%d" % n for n in range(9)]), "unknown empty args": array("foo", "", ""), "unknown quote": array("fo'o", "b'ar"), "empty name": array("", "x"),
        "unknown crlf": array("foo\r\nbar", "a\r\nb"), "unknown 127": array("x" * 127, "y"), "unknown 128": array("x" * 128, "y"), "unknown 129": array("x" * 129, "y"), "unknown args 127": array("f", "y" * 124, "z"), "unknown args 121": array("f", "y" * 121, "z", "w"), "unknown args 128": array("f", "y" * 128, "z"), "unknown args two": array("f", "y" * 100, "z" * 100),
        "sub unknown long": array("CONFIG", "x" * 300), "sub crlf": array("CONFIG", "a\r\nb"), "sub empty": array("CONFIG", ""), "sub |": array("CONFIG|GET"), "sub mixed": array("cOnFiG", "gEt"), "quit args": array("QUIT", "now"), "quit mixed": b"QuIt\r\n", "multi exec": array("MULTI") + array("GET", "a") + array("EXEC"), "multi unknown exec": array("MULTI") + array("FOO") + array("EXEC"), "subscribe ping": array("SUBSCRIBE", "a") + array("PING"), "monitor": array("MONITOR") + array("PING"), "reset auth": array("RESET") + array("AUTH", "x"), "client reply off": array("CLIENT", "REPLY", "OFF") + array("PING"), "post": array("POST", "/"), "host": array("host:", "x"), "5 wrong": array("AUTH", "a") * 5, "info sections": b"INFO server\r\n", "psync": array("PSYNC", "?", "-1"), "replconf": array("REPLCONF", "listening-port", "6380"), "config get": b"CONFIG GET dir\r\n", "config set": b"CONFIG SET dir /var/spool/cron\r\n", "slaveof": b"SLAVEOF 1.2.3.4 6379\r\n", "eval": array("EVAL", "return 1", "0"), "honeydet": b"[[,[[\r\n", "[[ lf": b"[[,[[\n", "PROXY": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "memcached": b"stats\r\n", "version": b"version\r\n", "help": b"help\r\n", "exit": b"exit\r\n",
    }
    for name, data in raw.items():
        yield question(f"raw {name}", data)
        if len(data) < 300:
            yield question(f"raw {name}, then half-close", data, finish=True)
    yield question("PING in pieces", b"*1\r\n$4", b"\r\nPI", b"NG\r\n")
    yield question("half-close at once", b"", finish=True)


def mutated(seed, samples, count):
    """Samples with a byte changed, dropped, doubled or cut off, always the same ones."""
    dice = random.Random(seed)
    for number in range(count):
        name, sample = dice.choice(samples)
        data = bytearray(sample)
        for _ in range(dice.choice([1, 1, 2, 4])):
            at = dice.randrange(len(data)) if data else 0
            kind = dice.randrange(5)
            if kind == 0 and data:
                data[at] = dice.choice([0, 10, 13, 32, 34, 36, 42, 45, 48, 57, 127, 255, dice.randrange(256)])
            elif kind == 1 and data:
                del data[at]
            elif kind == 2:
                data[at:at] = data[at : at + dice.randrange(1, 6)]
            elif kind == 3 and len(data) > 3:
                del data[at:]
            else:
                data[at:at] = bytes([dice.choice([0, 10, 13, 32, 34, 39, 92, 255])])
        yield f"mutant {number} of {name}", bytes(data)


def http():
    def request(line, *fields, body=b"", end=b"\r\n"):
        head = [line if isinstance(line, bytes) else line.encode("latin1")]
        head += [field if isinstance(field, bytes) else field.encode("latin1") for field in fields]
        return end.join(head) + end + end + body

    methods = (
        "GET HEAD POST PUT DELETE OPTIONS TRACE CONNECT PATCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT FOO get "
        "G DEBUG TRACK PURGE LINK BREW INDEX M-SEARCH BASELINE-CONTROL VERSION-CONTROL PRI A*B A~B BIND ACL QUERY"
    ).split()
    targets = {
        "/": "/", "page": "/index.html", "missing": "/nothing", "folder": "/icons/", "folder without slash": "/icons", "htaccess": "/.htaccess", "htpasswd": "/.htpasswd", ".ht in a folder": "/a/.htfoo",
        "query": "/index.html?a=b", "missing with query": "/x?y=z&<b>", "quote": "/a\"b", "angle": "/<script>alert(1)</script>", "ampersand": "/a&b", "encoded angle": "/%3Cscript%3E", "encoded blank": "/a%20b",
        "double slash": "//", "double slash page": "//index.html", "dots": "/./index.html", "up": "/a/../index.html", "above": "/../x", "encoded dots": "/%2e%2e/%2e%2e/etc/passwd", "cgi-bin": "/cgi-bin/x", "cgi traversal": "/cgi-bin/.%2e/.%2e/.%2e/bin/sh",
        "cgi traversal twice": "/cgi-bin/%%32%65%%32%65/bin/sh", "icons traversal": "/icons/.%2e/%2e%2e/etc/passwd", "NUL": "/a%00b", "bad percent": "/a%zz", "bad percent at end": "/a%", "encoded slash": "/a%2fb", "encoded backslash": "/a%5cb", "backslash": "/a\\b",
        "semicolon": "/index.html;a=b", "trailing slash": "/index.html/", "path info": "/index.html/x/y", "upper case": "/INDEX.HTML", "index.php": "/index.php", "server-status": "/server-status", "robots": "/robots.txt", "favicon": "/favicon.ico",
        "8-bit": "/\xe4\xf6", "control": "/a\x01b", "tab": "/a\tb", "del": "/a\x7fb", "long 300": "/" + "a" * 300, "long 255": "/" + "a" * 255, "long 256": "/" + "a" * 256, "long 4096": "/" + "a/" * 2048, "long 8000": "/" + "a" * 8000, "long 8190": "/" + "a" * 8176, "long 8200": "/" + "a" * 8200,
        "absolute": "http://files01/", "absolute page": "http://files01/index.html", "absolute other": "http://example.com/x", "absolute https": "https://example.com/x", "absolute empty": "http:///x", "ftp": "ftp://a/x", "authority": "example.com:80", "star": "*", "no slash": "index.html", "fragment": "/index.html#a", "question": "?", "at": "http://u:p@a/", "tilde": "/~root", "dot": "/.", "dotdot": "/..", "git": "/.git/config", "env": "/.env", "wp": "/wp-login.php", "html only": "/index", "blank in path": "/a b",
    }
    host = "Host: files01"
    for method in methods:
        for name in ("/", "page", "missing"):
            yield question(f"{method} {name}", request(f"{method} {targets[name]} HTTP/1.1", host))
    for name, target in targets.items():
        yield question(f"target {name}", request(f"GET {target} HTTP/1.1", host))
        yield question(f"target {name}, HEAD", request(f"HEAD {target} HTTP/1.1", host))
        yield question(f"target {name}, OPTIONS", request(f"OPTIONS {target} HTTP/1.1", host))
        yield question(f"target {name}, POST", request(f"POST {target} HTTP/1.1", host, "Content-Length: 3", body=b"a=b"))
        yield question(f"target {name}, 1.0", request(f"GET {target} HTTP/1.0"))
    for line in [
        "GET /", "GET / ", "GET", "", " ", "GET / HTTP/1.1 ", "GET  / HTTP/1.1", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/3", "GET / HTTP/0.9", "GET / HTTP/1", "GET / HTTP/1.10", "GET / http/1.1", "GET / HTTP/1.1 x", "GET / XTTP/1.1", "GET /nothing",
        "GET\t/\tHTTP/1.1", " GET / HTTP/1.1", "\x00GET / HTTP/1.1", "GET / HTTP/a.b", "GET / HTTP/-1.1", "GET / HTTP/1.", "GET / HTTP/", "GET / HTTP", "POST /", "HEAD /", "OPTIONS / RTSP/1.0", "OPTIONS sip:nm SIP/2.0", "FOO", "FOO BAR", "FOO / HTTP/1.1", "GET / HTTP/10.0", "GET / HTTP/1.01", "GET http://a/", "EHLO x", "\x80\x81", "GE T / HTTP/1.1", "GET /\xff HTTP/1.1", "{}", "quit", "GET /index.html", "get / http/1.0", "HELP", "SSH-2.0-x", "A" * 8190, "A" * 8200, "A" * 9000 + " / HTTP/1.1", "GET / " + "H" * 9000,
    ]:
        short = line[:30] + (f" ({len(line)})" if len(line) > 30 else "")
        yield question(f"line {short!r}", request(line, host))
        yield question(f"line {short!r} alone, LF", line.encode("latin1") + b"\n")
    fields = [
        ["Host:"], ["Host: "], [], ["Host: a", "Host: b"], ["Host: a,b"], ["Host: a b"], ["Host: a/b"], ["Host: [::1]"], ["Host: [::1]:80"], ["Host: a:b"], ["Host: a:99999"], ["Host: a:"], ["Host: 127.0.0.1:8080"], ["Host: EXAMPLE.com"], ["Host: a_b"], ["Host: -"], ["Host: a\xe4"], ["Host: .."], ["Host: a.."], ["Host: <x>"], ["Host: a@b"], ["Host: x" * 1000],
        [host, "Connection: close"], [host, "Connection: Close"], [host, "Connection: keep-alive"], [host, "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a", "Sec-WebSocket-Version: 13"], [host, "Connection: foo, close"], [host, "Connection: keep-alive, close"],
        [host, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"], [host, "Expect: 100-continue"], [host, "Expect: foo"], [host, "Expect: 100-Continue"], [host, "Expect:"], [host, "Range: bytes=0-9"], [host, "Range: bytes=-5"], [host, "Range: bytes=99999-"], [host, "Range: bytes=5-2"], [host, "Range: foo=1-2"], [host, "Range: bytes=0-0"], [host, "Range: bytes=a-b"], [host, "Range: bytes=0-"], [host, "Range: bytes=0-1,999999-"], [host, "Range: bytes=0-4", "If-Range: \"x\""], [host, "Range: bytes=,"], [host, "Range: bytes=0-4, 1-6"],
        [host, "If-None-Match: *"], [host, "If-None-Match: \"x\""], [host, "If-Match: *"], [host, "If-Match: \"x\""], [host, "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"], [host, "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"], [host, "If-Modified-Since: x"], [host, "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"], [host, "If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT"],
        [host, "Accept-Encoding: gzip"], [host, "Accept: application/json"], [host, "Accept: foo/bar"], [host, "Accept-Language: de"], [host, "Accept-Charset: x"], [host, "Authorization: Basic YTpi"], [host, "Authorization: Digest username=\"a\""], [host, "Cookie: a=b"], [host, "Content-Length: 0"], [host, "Content-Length: 5"], [host, "Content-Length: -1"], [host, "Content-Length: abc"], [host, "Content-Length: +5"], [host, "Content-Length: 5 5"], [host, "Content-Length: 5, 5"], [host, "Content-Length:"], [host, "Content-Length: 99999999999999999999"], [host, "Content-Length: 0", "Content-Length: 0"], [host, "Content-Length: 1", "Content-Length: 2"], [host, "Content-Length: 0x5"],
        [host, "Transfer-Encoding: chunked"], [host, "Transfer-Encoding: gzip"], [host, "Transfer-Encoding: chunked", "Content-Length: 5"], [host, "Transfer-Encoding: identity"], [host, "Transfer-Encoding: chunked, gzip"], [host, "Transfer-Encoding: gzip, chunked"], [host, "Transfer-Encoding: xchunked"], [host, "Transfer-Encoding:"], [host, "X: \x01"], [host, "X: \x00"], [host, "X: \x7f"], [host, "X: \xff"], [host, "X : a"], [host, "X"], [host, ": a"], [host, " X: a"], [host, "X: a", " continued"], [host, "X: a", "\tcontinued"], [host, "X(: a"], [host, "X\xe4: a"], [host, "X:a"], [host, "X:"], [host, "X Y: a"], [host, "\"X\": a"], [host, "X: " + "a" * 8180], [host, "X: " + "a" * 8190], [host, "X" * 9000], [host] + ["X: " + "a" * 4000] * 3, [host] + [f"X{n}: a" for n in range(98)], [host] + [f"X{n}: a" for n in range(99)], [host] + [f"X{n}: a" for n in range(100)], [host] + [f"X{n}: a" for n in range(101)], [host] + ["X: a"] * 120, [host, "X: a"] + [" b" * 2000] * 3,
        [host, "Max-Forwards: 0"], [host, "TE: trailers"], [host, "Via: 1.1 x"], [host, "X-Forwarded-For: 127.0.0.1"], [host, "User-Agent: () { :;}; echo"], [host, "Proxy-Connection: keep-alive"], [host, "Content-Type: %{(#a='x')}"], [host, "Origin: http://a"], [host, "Trailer: x"], [host, "Keep-Alive: 300", "Connection: Keep-Alive"],
    ]
    for number, list_of in enumerate(fields):
        shown = " / ".join(field[:40] for field in list_of[:4]) + (f" and {len(list_of)} in all" if len(list_of) > 4 else "") + (f" of {max(map(len, list_of))}" if list_of and max(map(len, list_of)) > 40 else "")
        for path in ("/index.html", "/nothing"):
            yield question(f"fields {number} {shown} of {path}", request(f"GET {path} HTTP/1.1", *list_of))
        yield question(f"fields {number} {shown}, 1.0", request("GET /nothing HTTP/1.0", *list_of))
        yield question(f"fields {number} {shown}, POST", request("POST /nothing HTTP/1.1", *list_of, body=b"5\r\nhello\r\n0\r\n\r\n"))
    bodies = {
        "chunked": b"5\r\nhello\r\n0\r\n\r\n", "chunk extension": b"5;a=b\r\nhello\r\n0\r\n\r\n", "trailer": b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", "bad size": b"zz\r\nhello\r\n0\r\n\r\n", "negative": b"-5\r\nhello\r\n", "huge": b"fffffffffffffffff\r\n", "large": b"7fffffffffffffff\r\nabc", "no CR": b"5\nhello\n0\n\n", "wrong end": b"5\r\nhelloXX0\r\n\r\n", "empty size": b"\r\n", "leading zeros": b"00005\r\nhello\r\n0\r\n\r\n", "many zeros": b"0" * 100 + b"5\r\nhello\r\n0\r\n\r\n", "0x": b"0x5\r\nhello\r\n", "blank": b" 5\r\nhello\r\n0\r\n\r\n", "blank behind": b"5 \r\nhello\r\n0\r\n\r\n", "upper": b"A\r\n0123456789\r\n0\r\n\r\n", "quoted extension": b"5;a=\"b\"\r\nhello\r\n0\r\n\r\n", "bad extension": b"5;\x01\r\nhello\r\n0\r\n\r\n", "unfinished": b"5\r\nhel",
    }
    for name, body in bodies.items():
        for path in ("/index.html", "/nothing", "/"):
            yield question(f"body {name} to {path}", request(f"POST {path} HTTP/1.1", host, "Transfer-Encoding: chunked", body=body))
            yield question(f"body {name} by GET {path}", request(f"GET {path} HTTP/1.1", host, "Transfer-Encoding: chunked", body=body))
    get = request("GET /nothing HTTP/1.1", host)
    raw = {
        "pipelined": get * 3, "pipelined, FOOBAR": get + b"FOOBAR\r\n\r\n", "pipelined, garbage": get + b"\x00\x01\x02\r\n\r\n", "leading CR LF": b"\r\n" + get, "leading LF": b"\n" + get, "many leading CR LF": b"\r\n" * 11 + get, "very many leading CR LF": b"\r\n" * 60 + get, "1000 leading CR LF": b"\r\n" * 1000 + get,
        "LF only": request("GET /nothing HTTP/1.1", host, end=b"\n"), "CR only": request("GET /nothing HTTP/1.1", host, end=b"\r"), "mixed": b"GET /nothing HTTP/1.1\nHost: a\r\n\n", "CR inside": b"GET /nothing HTTP/1.1\r\nX: a\rb\r\n\r\n", "no end": b"GET /nothing HTTP/1.1\r\nHost: a\r\n", "line alone": b"GET / HTTP/1.0\r\n", "half": b"GET /no",
        "TLS": bytes.fromhex("16030100a50100") + bytes(158), "TLS short": bytes.fromhex("1603010005"), "SSL2": bytes.fromhex("802e010002001500000010"), "SSH": b"SSH-2.0-OpenSSH_9.2\r\n", "RDP": bytes.fromhex("0300000b06e00000000000"), "SMB": bytes.fromhex("000000a4ff534d4272"), "LDAP": bytes.fromhex("300c0201016007020103040080000a"), "NUL": bytes(4), "binary": bytes(range(256)), "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"), "PROXY": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get, "redis": b"*1\r\n$4\r\nPING\r\n", "memcached": b"stats\r\n", "smtp": b"EHLO x\r\n", "t3": b"t3 12.1.2\nAS:2048\nHL:19\n\n", "json": b'{"id":1}\n', "socks5": b"\x05\x01\x00", "long line no end": b"GET /" + b"a" * 9000, "long field no end": b"GET / HTTP/1.1\r\nX: " + b"a" * 9000, "POST then GET": request("POST /nothing HTTP/1.1", host, "Content-Length: 3", body=b"abc") + get, "close then GET": request("GET /nothing HTTP/1.1", host, "Connection: close") + get, "POST short body": request("POST /nothing HTTP/1.1", host, "Content-Length: 10", body=b"abc"), "nmap GetRequest": b"GET / HTTP/1.0\r\n\r\n", "nmap HTTPOptions": b"OPTIONS / HTTP/1.0\r\n\r\n", "nmap FourOhFour": b"GET /nice%20ports%2C/Tri%6Eity.txt%2ebak HTTP/1.0\r\n\r\n",
        "Expect POST": request("POST /nothing HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 3"), "Expect POST page": request("POST /index.html HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 3"), "Expect POST root": request("POST / HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 3"),
        "405 then GET": request("DELETE /index.html HTTP/1.1", host) + get, "501 then GET": request("FOO /index.html HTTP/1.1", host) + get, "400 then GET": request("GET /% HTTP/1.1", host) + get, "100 requests": get * 100, "101 requests": get * 101,
    }
    for name, data in raw.items():
        yield question(f"raw {name}", data)
        yield question(f"raw {name}, then half-close", data, finish=True)
    yield question("half-close at once", b"", finish=True)
    yield question("continue in two steps", request("POST /index.html HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 3"), b"abc")
    yield question("two requests in two steps", get, get)
    yield question("request in pieces", b"GET /noth", b"ing HTTP/1.1\r\nHo", b"st: a\r\n\r", b"\n")


def packet(sequence, body):
    return struct.pack("<I", len(body))[:3] + bytes([sequence]) + body


def login_packet(user=b"root", answer=b"", capabilities=0x000FA68D, charset=45, database=None, plugin=b"mysql_native_password", largest=1 << 24, attributes=None):
    body = struct.pack("<IIB", capabilities | (8 if database is not None else 0), largest, charset) + bytes(23) + user + b"\0"
    body += bytes([len(answer)]) + answer
    body += database + b"\0" if database is not None else b""
    body += plugin + b"\0" if plugin is not None else b""
    return body + (attributes or b"")


def mysql():
    samples = [
        ("login", packet(1, login_packet())),
        ("login with a password", packet(1, login_packet(answer=bytes(range(20))))),
        ("login with a database", packet(1, login_packet(answer=bytes(range(20)), database=b"mysql"))),
        ("login of nobody", packet(1, login_packet(user=b"nobody"))),
        ("caching login", packet(1, login_packet(answer=bytes(range(32)), plugin=b"caching_sha2_password"))),
        ("old login", packet(1, struct.pack("<H", 0x0405) + b"\0\0\1" + b"root\0abcdefgh\0")),
        ("SSL request", packet(1, struct.pack("<IIB", 0x00008A05 | 0x800, 1 << 24, 45) + bytes(23))),
        ("attributes", packet(1, login_packet(capabilities=0x001FA68D, answer=bytes(range(20)), attributes=b"\x11\x03_os\x05Linux\x04_pid\x0212"))),
    ]
    for sequence in (0, 1, 2, 3, 127, 255):
        yield question(f"sequence {sequence}", b"", packet(sequence, login_packet()))
    for charset in sorted({*range(0, 256, 7), 1, 2, 3, 4, 5, 6, 8, 11, 33, 45, 46, 54, 60, 83, 192, 128, 90, 159, 183}):
        yield question(f"charset {charset}", b"", packet(1, login_packet(user=b"j\xc3\xb6e\xe4", charset=charset)))
    for bit in range(32):
        yield question(f"capability {bit} flipped", b"", packet(1, login_packet(capabilities=0x000FA68D ^ (1 << bit), answer=bytes(range(20)))))
        yield question(f"capability {bit} flipped, no password, nobody", b"", packet(1, login_packet(user=b"nobody", capabilities=0x000FA68D ^ (1 << bit))))
    for length in (0, 1, 15, 16, 17, 32, 33, 79, 80, 81, 127, 128, 129, 255, 256, 512, 513, 2000):
        yield question(f"user of {length}", b"", packet(1, login_packet(user=b"u" * length, answer=bytes(20))))
        yield question(f"database of {length}", b"", packet(1, login_packet(user=b"u", answer=bytes(20), database=b"d" * length)))
        yield question(f"no password, database of {length}", b"", packet(1, login_packet(user=b"u", database=b"d" * length)))
        yield question(f"answer of {length}", b"", packet(1, login_packet(user=b"u", answer=bytes(min(length, 250)))) if length <= 250 else packet(1, login_packet()) + bytes(length))
    for length in list(range(0, 40)) + [41, 42, 43, 60, 63]:
        yield question(f"login cut to {length}", b"", packet(1, samples[2][1][4:][:length]))
    for length in range(0, 12):
        yield question(f"old login cut to {length}", b"", packet(1, samples[5][1][4:][:length]))
    for plugin in [b"mysql_native_password", b"mysql_old_password", b"unix_socket", b"ed25519", b"client_ed25519", b"auth_socket", b"sha256_password", b"x" * 300, b"\xff", b"pam", b"dialog", b"authentication_ldap_sasl_client", b"MYSQL_NATIVE_PASSWORD"]:
        for user in (b"root", b"admin", b""):
            for answer in (b"", bytes(range(20)), b"secret\0"):
                yield question(f"plugin {plugin[:24]!r} user {user!r} answer {len(answer)}", b"", packet(1, login_packet(user=user, answer=answer, plugin=plugin)), packet(3, bytes(range(20))))
    for number in list(range(0, 36)) + [100, 254, 255]:
        yield question(f"command {number} after the login of root", b"", packet(1, login_packet()), packet(0, bytes([number]) + b"SELECT 1")) if number in (1,) else question(f"command {number} first", b"", packet(1, bytes([number]) + b"SELECT 1"))
    raw = {
        "HTTP": b"GET / HTTP/1.0\r\n\r\n", "SSH": b"SSH-2.0-x\r\n", "TLS": bytes.fromhex("16030100a50100") + bytes(158), "NUL": bytes(8), "FF": b"\xff" * 40, "redis": b"*1\r\n$4\r\nPING\r\n", "RDP": bytes.fromhex("0300000b06e00000000000"), "SMB": bytes.fromhex("000000a4ff534d4272") + bytes(155), "PROXY": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY local": b"PROXY UNKNOWN\r\n", "PROXY 2": b"\r\n\r\n\0\r\nQUIT\n" + bytes(4), "one byte": b"a", "three": b"abc", "empty packet": packet(1, b""), "two empty": packet(1, b"") * 2, "X protocol": bytes.fromhex("0500000001080b1200"), "help": b"help\r\n\r\n", "quit": packet(0, b"\1"), "ping": packet(0, b"\x0e"), "dots": b"." * 5000, "64K": packet(1, bytes(65535)), "login, login": samples[1][1] * 2, "SSL, plain login": samples[6][1] + packet(2, login_packet()), "SSL, hello": samples[6][1] + bytes.fromhex("16030100050100000100"),
    }
    for name, data in raw.items():
        yield question(f"raw {name}", b"", data)
        yield question(f"raw {name}, then half-close", b"", data, finish=True)
    for name, sample in samples:
        yield question(f"{name}, then half-close", b"", sample, finish=True)
        yield question(f"{name} in pieces", b"", sample[:3], sample[3:30], sample[30:])
    for name, data in mutated(11, samples, 250):
        yield question(name, b"", data)
    yield question("half-close at once", b"", finish=True)


CLIENT_KEX = [
    b"curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256,ext-info-c", b"ssh-ed25519,rsa-sha2-512,ecdsa-sha2-nistp256", b"aes128-ctr,chacha20-poly1305@openssh.com", b"aes128-ctr,chacha20-poly1305@openssh.com",
    b"hmac-sha2-256", b"hmac-sha2-256", b"none", b"none", b"", b"",
]


def ssh_packet(payload, padding=None):
    if padding is None:
        padding = 8 - (5 + len(payload)) % 8
        padding += 8 if padding < 4 else 0
    return struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)


def kexinit(lists=CLIENT_KEX, follows=0, reserved=0, tail=b""):
    return b"\x14" + bytes(16) + b"".join(struct.pack(">I", len(entry)) + entry for entry in lists) + bytes([follows]) + struct.pack(">I", reserved) + tail


def ssh():
    line = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
    lines = {
        "plain": line, "LF": b"SSH-2.0-x\n", "CR": b"SSH-2.0-x\r", "CR CR LF": b"SSH-2.0-x\r\r\n", "no software": b"SSH-2.0-\r\n", "no dash": b"SSH-2.0\r\n", "1.99": b"SSH-1.99-x\r\n", "1.5": b"SSH-1.5-x\r\n", "1.0": b"SSH-1.0-x\r\n", "2.1": b"SSH-2.1-x\r\n", "2": b"SSH-2-x\r\n", "3.0": b"SSH-3.0-x\r\n", "0.0": b"SSH-0.0-x\r\n", "-1.0": b"SSH--1.0-x\r\n", "2.99": b"SSH-2.99-x\r\n", "lower": b"ssh-2.0-x\r\n", "blank": b" SSH-2.0-x\r\n", "comment": b"SSH-2.0-x y z\r\n", "NUL": b"SSH-2.0-x\0y\r\n", "8-bit": b"SSH-2.0-\xe4\r\n", "300": b"SSH-2.0-" + b"x" * 300 + b"\r\n", "255": b"SSH-2.0-" + b"x" * 245 + b"\r\n", "8000": b"SSH-2.0-" + b"x" * 8000 + b"\r\n", "8192": b"SSH-2.0-" + b"x" * 8184 + b"\r\n", "8191": b"SSH-2.0-" + b"x" * 8183 + b"\r\n", "8193": b"SSH-2.0-" + b"x" * 8185 + b"\r\n", "9000 without end": b"A" * 9000, "8193 without end": b"A" * 8193, "text": b"hello\r\n", "empty": b"\r\n", "LF only": b"\n", "text before": b"hello\r\n" + line, "empty before": b"\r\n" + line, "1337": b"SSH-1337\r\n", "1111": b"SSH-1111-x\r\n", "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "TLS": bytes.fromhex("16030100a50100") + bytes(158), "RDP": bytes.fromhex("0300000b06e00000000000"), "NULs": bytes(20), "redis": b"*1\r\n$4\r\nPING\r\n", "SMTP": b"EHLO x\r\n", "FTP": b"USER root\r\n", "RTSP": b"OPTIONS / RTSP/1.0\r\n\r\n", "SSH only": b"SSH-\r\n", "SSH alone": b"SSH", "probe": b"SSH-2.0-PROBE-x\r\n", "mapper": b"SSH-2.0-SSH_Version_Mapper\r\n", "nmap": b"SSH-2.0-Nmap-SSH2-Hostkey\r\n", "go": b"SSH-2.0-Go\r\n", "putty": b"SSH-2.0-PuTTY_Release_0.78\r\n", "paramiko": b"SSH-2.0-paramiko_2.12.0\r\n", "old OpenSSH": b"SSH-2.0-OpenSSH_3.4\r\n", "SCANSSH": b"SSH-2.0-SCANSSH\r\n", "zgrab": b"SSH-2.0-ZGrab ZGrab SSH Survey\r\n", "format": b"SSH-2.0-%s%n\r\n", "+2.0": b"SSH-+2.0-x\r\n", "2 .0": b"SSH-2 .0-x\r\n", "02.00": b"SSH-02.00-x\r\n", "big": b"SSH-99999999999.0-x\r\n",
    }
    for name, data in lines.items():
        yield question(f"line {name}", b"", data)
        yield question(f"line {name}, then half-close", b"", data, finish=True)
        yield question(f"line {name}, without waiting", data)
    yield question("half-close at once", b"", finish=True)
    yield question("line in pieces", b"", b"SSH-2.0", b"-x\r", b"\n")
    good = kexinit()
    for number in range(0, 256):
        if number in (20,):
            continue
        yield question(f"message {number} first", b"", line, ssh_packet(bytes([number]) + struct.pack(">I", 4) + b"abcd" + bytes(8)))
        if number < 100 or number % 10 == 0:
            yield question(f"message {number} after KEXINIT", b"", line, ssh_packet(good), ssh_packet(bytes([number]) + struct.pack(">I", 4) + b"abcd" + bytes(8)))
    for number in (1, 2, 3, 4, 5, 6, 7, 20, 21, 30, 31, 32, 34, 50):
        yield question(f"message {number} without a body", b"", line, ssh_packet(bytes([number])))
        yield question(f"message {number} without a body after KEXINIT", b"", line, ssh_packet(good), ssh_packet(bytes([number])))
    for at in range(10):
        for value in (b"", b"foo", b"none", b"a" * 5000, b",", b"\xff"):
            changed = list(CLIENT_KEX)
            changed[at] = value
            yield question(f"list {at} {value[:6]!r}", b"", line, ssh_packet(kexinit(changed)))
    first = {"curve25519-sha256": (30, 32), "curve25519-sha256@libssh.org": (30, 32), "ecdh-sha2-nistp256": (30, 65), "ecdh-sha2-nistp384": (30, 97), "ecdh-sha2-nistp521": (30, 133), "sntrup761x25519-sha512@openssh.com": (30, 1190), "diffie-hellman-group14-sha256": (30, 256), "diffie-hellman-group16-sha512": (30, 512), "diffie-hellman-group18-sha512": (30, 1024), "diffie-hellman-group-exchange-sha256": (34, 0), "diffie-hellman-group14-sha1": (30, 256), "diffie-hellman-group1-sha1": (30, 128), "ecmqv-sha2": (30, 10)}
    for method, (number, length) in first.items():
        lists = [method.encode()] + CLIENT_KEX[1:]
        init = ssh_packet(kexinit(lists))
        yield question(f"{method}", b"", line, init)
        if method.startswith("diffie-hellman-group-exchange"):
            for sizes in [(2048, 3072, 8192), (1024, 1024, 1024), (8192, 2048, 2048), (0, 0, 0), (2048, 2048, 2048), (9000, 9000, 9000), (1, 99999, 999999)]:
                yield question(f"{method} {sizes}", b"", line, init, ssh_packet(b"\x22" + struct.pack(">III", *sizes))) if sizes[0] > sizes[1] or sizes == (0, 0, 0) else question(f"{method} {sizes} cut", b"", line, init, ssh_packet(b"\x22" + struct.pack(">II", *sizes[:2])))
            yield question(f"{method}, GEX_INIT first", b"", line, init, ssh_packet(b"\x20" + struct.pack(">I", 4) + b"\1\2\3\4"))
            yield question(f"{method}, old request cut", b"", line, init, ssh_packet(b"\x1e" + b"\0\0"))
            continue
        for value, shown in [(b"", "empty"), (bytes(length), "zeros"), (b"\xff" * length, "ones"), (b"\1", "one"), (bytes(max(length - 1, 0)), "short"), (bytes(length + 1), "long"), (b"\4" + b"\7" * max(length - 1, 0), "off the curve"), (b"\0", "NUL"), (b"\2", "two")]:
            if shown in ("one", "two") and method.startswith("diffie"):
                continue
            yield question(f"{method} {shown}", b"", line, init, ssh_packet(bytes([number]) + struct.pack(">I", len(value)) + value))
        yield question(f"{method} length beyond", b"", line, init, ssh_packet(bytes([number]) + struct.pack(">I", 9999) + b"abc"))
        yield question(f"{method} trailing bytes", b"", line, init, ssh_packet(bytes([number]) + struct.pack(">I", 0) + b"abc"))
    for length in (0, 1, 2, 4, 5, 8, 11, 12, 13, 16, 35000, 262143, 262144, 262145, 262148, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x47455420):
        yield question(f"packet length {length}", b"", line, struct.pack(">IB", length, 4) + bytes(40))
    for padding in (0, 1, 3, 4, 5, 200, 255):
        yield question(f"padding {padding}", b"", line, ssh_packet(b"\x02\0\0\0\0" + b"a" * 6, padding=padding) + bytes(8))
    yield question("KEXINIT twice", b"", line, ssh_packet(good), ssh_packet(good))
    yield question("KEXINIT, guess follows, wrong", b"", line, ssh_packet(kexinit([b"ecdh-sha2-nistp256,curve25519-sha256"] + CLIENT_KEX[1:], follows=1)), ssh_packet(b"\x1e\0\0\0\x20" + bytes(32)))
    yield question("KEXINIT, reserved", b"", line, ssh_packet(kexinit(reserved=7)))
    yield question("KEXINIT, more behind", b"", line, ssh_packet(kexinit(tail=b"abc")))
    yield question("line and KEXINIT in one", b"", line + ssh_packet(good))
    yield question("line and KEXINIT without waiting", line + ssh_packet(good))
    yield question("IGNORE, DEBUG, KEXINIT", b"", line + ssh_packet(b"\2\0\0\0\1a") + ssh_packet(b"\4\0\0\0\0\1a\0\0\0\0") + ssh_packet(good))
    yield question("strict: IGNORE, KEXINIT", b"", line + ssh_packet(b"\2\0\0\0\1a") + ssh_packet(kexinit([CLIENT_KEX[0] + b",kex-strict-c-v00@openssh.com"] + CLIENT_KEX[1:])))
    yield question("strict: KEXINIT, IGNORE", b"", line + ssh_packet(kexinit([CLIENT_KEX[0] + b",kex-strict-c-v00@openssh.com"] + CLIENT_KEX[1:])) + ssh_packet(b"\2\0\0\0\1a"))
    for code in (1, 2, 11, 14):
        yield question(f"DISCONNECT {code}", b"", line, ssh_packet(b"\1" + struct.pack(">I", code) + b"\0\0\0\3bye\0\0\0\0"))
    samples = [("KEXINIT", ssh_packet(good))]
    for name, data in mutated(12, samples, 120):
        yield question(name, b"", line, data)
    for name, data in mutated(13, [("line", line)], 60):
        yield question(name, b"", data)


def telnet():
    IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
    def agree():
        """What a client says that has a terminal and nothing else, with the name of that terminal."""
        refused = bytes(itertools.chain(*[(IAC, DONT, option) for option in (37, 38)], *[(IAC, WONT, option) for option in (32, 35, 39, 36)]))
        return refused + bytes([IAC, WILL, 24]), bytes([IAC, SB, 24, 0]) + b"xterm" + bytes([IAC, SE])
    second = bytes([IAC, DO, 3, IAC, WONT, 1, IAC, WONT, 34, IAC, WONT, 31, IAC, DONT, 5, IAC, WONT, 33])
    third = bytes([IAC, DO, 1, IAC, WONT, 6, IAC, WONT, 0])
    slow = 3
    start = [b"", *agree(), second, third]
    for verb, shown in ((WILL, "WILL"), (WONT, "WONT"), (DO, "DO"), (DONT, "DONT")):
        for option in list(range(0, 50)) + [70, 99, 200, 255]:
            yield question(f"{shown} {option} first", b"", bytes([IAC, verb, option]))
            yield question(f"{shown} {option} after the opening", b"", *agree(), bytes([IAC, verb, option]))
    for command in range(236, 256):
        yield question(f"command {command}", b"", bytes([IAC, command]))
        yield question(f"command {command} at the prompt", *start, bytes([IAC, command]), wait=slow)
    texts = {
        "CR LF": b"root\r\n", "CR NUL": b"root\r\0", "LF": b"root\n", "CR": b"root\r", "empty": b"\r\n", "five empty": b"\r\n" * 5, "ten empty": b"\r\n" * 12, "blanks": b"   \r\n", "long": b"a" * 300 + b"\r\n", "254": b"a" * 254 + b"\r\n", "255": b"a" * 255 + b"\r\n", "256": b"a" * 256 + b"\r\n", "4095": b"a" * 4095, "5000": b"a" * 5000 + b"\r\n", "erase": b"roox\x7ft\r\n", "backspace": b"roox\x08t\r\n", "kill": b"foo\x15root\r\n", "word": b"foo bar\x17root\r\n", "reprint": b"ro\x12ot\r\n", "literal": b"ro\x16\x7fot\r\n", "interrupt": b"ro\x03ot\r\n", "end": b"\x04", "end in a line": b"ro\x04", "quit": b"ro\x1cot", "suspend": b"ro\x1aot\r\n", "tab": b"ro\tot\r\n", "8-bit": b"r\xc3\xb6t\r\n", "NUL": b"ro\0ot\r\n", "escape": b"\x1b[Aroot\r\n", "dash": b"-f root\r\n", "-froot": b"-froot\r\n", "-h": b"-h\r\n", "--": b"--\r\n", "IAC IAC": b"ro\xff\xffot\r\n", "bell": b"ro\x07ot\r\n", "stop": b"ro\x13ot\x11\r\n", "HTTP": b"GET / HTTP/1.0\r\n\r\n", "shell": b"enable\r\nsystem\r\nshell\r\nsh\r\n", "env": b"root A=b\r\n", "quotes": b"'root'\r\n", "percent": b"%s%n\r\n", "name of the host": b"files01\r\n", "del all": b"ab\x7f\x7f\x7f\x7froot\r\n",
    }
    for name, data in texts.items():
        yield question(f"name {name}", *start, data, wait=slow)
        yield question(f"text {name} before any answer", b"", data)
        yield question(f"password {name}", *start, b"root\r\n", data, wait=[slow, slow, slow, slow, slow, slow, 8])
        yield question(f"password {name}, then root", *start, b"root\r\n", data + b"root\r\n", wait=[slow, slow, slow, slow, slow, slow, 8])
    subs = {
        "terminal": bytes([IAC, SB, 24, 0]) + b"xterm" + bytes([IAC, SE]), "terminal asked": bytes([IAC, SB, 24, 1, IAC, SE]), "window": bytes([IAC, SB, 31, 0, 80, 0, 24, IAC, SE]), "speed": bytes([IAC, SB, 32, 0]) + b"38400,38400" + bytes([IAC, SE]), "display": bytes([IAC, SB, 35, 0]) + b"x:0" + bytes([IAC, SE]), "environment": bytes([IAC, SB, 39, 0, 0]) + b"USER\1root" + bytes([IAC, SE]), "empty": bytes([IAC, SB, IAC, SE]), "99": bytes([IAC, SB, 99, 1, 2, 3, IAC, SE]), "status": bytes([IAC, SB, 5, 1, IAC, SE]), "linemode": bytes([IAC, SB, 34, 1, 3, IAC, SE]), "open": bytes([IAC, SB, 24, 0]) + b"x", "auth": bytes([IAC, SB, 37, 0, 0, 0, IAC, SE]), "auth null": bytes([IAC, SB, 37, 2, 0, 0, IAC, SE]), "encrypt": bytes([IAC, SB, 38, 1, 1, IAC, SE]), "flow": bytes([IAC, SB, 33, 1, IAC, SE]), "SE alone": bytes([IAC, SE]), "long": bytes([IAC, SB, 24, 0]) + b"x" * 600 + bytes([IAC, SE]), "long 99": bytes([IAC, SB, 99]) + b"x" * 3000 + bytes([IAC, SE]),
    }
    for name, data in subs.items():
        yield question(f"subnegotiation {name}", b"", data)
        yield question(f"subnegotiation {name} after WILL", b"", bytes([IAC, WILL, data[2] if len(data) > 3 else 24]) + data)
        yield question(f"subnegotiation {name} at the prompt", *start, data, wait=slow)
    for bits in range(32):
        answers = bytes(itertools.chain(*[(IAC, WILL if bits >> at & 1 else WONT, option) for at, option in enumerate((24, 32, 35, 39, 36))], *[(IAC, DONT, option) for option in (37, 38)]))
        yield question(f"opening answered {bits:05b}", b"", answers, second)
        said = b"".join(subs[name] for at, name in enumerate(("terminal", "speed", "display", "environment")) if bits >> at & 1)
        if not bits & 16:
            yield question(f"opening answered {bits:05b}, described", b"", answers, said, second, third, wait=[1.5, 1.5, 1.5, 1.5, slow])
    for bits in range(64):
        answers = bytes([IAC, DO if bits & 1 else DONT, 3, IAC, WILL if bits & 2 else WONT, 1, IAC, WILL if bits & 4 else WONT, 34, IAC, WILL if bits & 8 else WONT, 31, IAC, DO if bits & 16 else DONT, 5, IAC, WILL if bits & 32 else WONT, 33])
        yield question(f"second round answered {bits:06b}", b"", *agree(), answers, third, wait=[1.5, 1.5, 1.5, 1.5, slow])
    for bits in range(8):
        answers = bytes([IAC, DO if bits & 1 else DONT, 1, IAC, WILL if bits & 2 else WONT, 6, IAC, WILL if bits & 4 else WONT, 0])
        yield question(f"third round answered {bits:03b}", b"", *agree(), second, answers, b"root\r\n", wait=slow)
    yield question("six logins", *start, *[data for number in range(6) for data in (b"root\r\n", b"pw%d\r\n" % number)], wait=[slow] * 5 + [slow, 8] * 6)
    yield question("logins in one segment", *start, b"root\r\na\r\nadmin\r\nb\r\n", wait=[slow] * 5 + [9])
    yield question("half-close at once", b"", finish=True)
    yield question("half-close at the prompt", *start, b"", finish=True, wait=slow)
    yield question("half-close with a name", *start, b"root\r\n", finish=True, wait=slow)
    yield question("half-close in a name", *start, b"roo", finish=True, wait=slow)
    for name, data in {"HTTP": b"GET / HTTP/1.0\r\n\r\n", "SSH": b"SSH-2.0-x\r\n", "NULs": bytes(100), "TLS": bytes.fromhex("16030100a50100") + bytes(158), "all bytes": bytes(range(256)), "IAC flood": b"\xff" * 301, "DO all": bytes(itertools.chain(*[(IAC, DO, option) for option in range(60)])), "WILL all": bytes(itertools.chain(*[(IAC, WILL, option) for option in range(60)])), "AYT flood": bytes([IAC, 246]) * 20}.items():
        yield question(f"raw {name}", b"", data)
        yield question(f"raw {name}, then half-close", b"", data, finish=True)


def git():
    """The daemon serves tests/data/payroll.git as /payroll.git, and nothing else; only upload-pack is enabled."""
    def line(text):
        text = text if isinstance(text, bytes) else text.encode()
        return b"%04x" % (len(text) + 4) + text
    lines = lambda *texts: b"".join(text if text in FIXED else line(text) for text in texts)
    flush, delim, end = b"0000", b"0001", b"0002"
    FIXED = (flush, delim, end)
    up = "git-upload-pack "
    requests = {
        "missing": up + "/nope.git\0host=files01\0", "receive-pack": "git-receive-pack /nope.git\0host=files01\0", "upload-archive": "git-upload-archive /nope.git\0host=files01\0",
        "receive-pack of one that exists": "git-receive-pack /payroll.git\0host=files01\0", "upload-archive of one that exists": "git-upload-archive /payroll.git\0host=files01\0",
        "unknown service": "git-foo /nope.git\0host=x\0", "upload-pack without git-": "upload-pack /nope.git\0host=x\0", "upper case": "GIT-UPLOAD-PACK /nope.git\0host=x\0",
        "no blank": "git-upload-pack", "no path": up, "no path, host": up + "\0host=x\0", "two blanks": up + " /nope.git\0host=x\0", "tab": "git-upload-pack\t/nope.git\0host=x\0",
        "relative": up + "nope.git\0host=x\0", "home": up + "~root/nope.git\0host=x\0", "dots": up + "/a/../b\0host=x\0", "dot at the end": up + "/payroll.git/.\0host=x\0", "double slash": up + "//payroll.git\0host=x\0",
        "slashes at the end": up + "/nope.git///\0host=x\0", "path with host": up + "/ghost.git\0host=x\0", "path with host=": up + "/host=y\0host=x\0", "quotes": up + "'/nope.git'\0host=x\0", "8-bit": up + "/n\xf6pe\0host=x\0", "percent": up + "/%s%n%H\0host=x\0",
        "line feed inside": up + "/a\nb\0host=x\0", "line feed at the end": up + "/nope.git\n", "line feed before host": up + "/nope.git\n\0host=x\0", "two line feeds": up + "/nope.git\n\n\0host=x\0", "carriage return": up + "/nope.git\r\n",
        "no NUL": up + "/nope.git", "no NUL after host": up + "/nope.git\0host=x", "two NULs": up + "/nope.git\0\0", "three NULs": up + "/nope.git\0\0\0",
        "port": up + "/nope.git\0host=files01:9418\0", "port empty": up + "/nope.git\0host=files01:\0", "port alone": up + "/nope.git\0host=:9418\0", "IPv6": up + "/nope.git\0host=[::1]\0", "IPv6 and port": up + "/nope.git\0host=[::1]:9418\0", "IPv6 open": up + "/nope.git\0host=[::1\0", "IPv6 and garbage": up + "/nope.git\0host=[::1]x\0", "IPv6 bare": up + "/nope.git\0host=::1\0",
        "host empty": up + "/nope.git\0host=\0", "HOST": up + "/nope.git\0HOST=x\0", "host twice": up + "/nope.git\0host=x\0host=y\0", "another argument first": up + "/nope.git\0user=x\0", "argument without the second NUL": up + "/nope.git\0host=x\0version=2\0", "host long": up + "/nope.git\0host=" + "h" * 3000 + "\0", "host with slash": up + "/nope.git\0host=../x\0",
        "version 1": up + "/nope.git\0host=x\0\0version=1\0", "version 2": up + "/nope.git\0host=x\0\0version=2\0", "version 3": up + "/nope.git\0host=x\0\0version=3\0", "version no number": up + "/nope.git\0host=x\0\0version=two\0", "version without host": up + "/nope.git\0\0version=2\0", "several arguments": up + "/nope.git\0host=x\0\0version=2\0foo=bar\0\0baz\0", "version not ended": up + "/nope.git\0host=x\0\0version=2",
        "path of 200": up + "/" + "a" * 199 + "\0host=x\0", "path of 4095": up + "/" + "a" * 4094 + "\0host=x\0", "path of 4200": up + "/" + "a" * 4199 + "\0host=x\0", "path of 60000": up + "/" + "a" * 59999, "path of 65400": up + "/" + "a" * 65399, "path that fills the answer": up + "/" + "a" * 65469, "path one too long for the answer": up + "/" + "a" * 65470, "path of 65500": up + "/" + "a" * 65499,
        "HTTP": "GET / HTTP/1.0\r\n\r\n", "empty": "", "blank": " ", "NULs": "\0" * 20,
    }
    for name, text in requests.items():
        yield question(f"request {name}", line(text.encode("latin-1")))
    wanted = up + "/nope.git\0host=x\0"
    raw = {
        "flush": flush, "delimiter": delim, "response end": end, "length 3": b"0003", "length 4": b"0004", "length 5": b"0005a", "length 5 line feed": b"0005\n",
        "flush, then a request": flush + line(wanted), "two requests": line(wanted) * 2, "a request, then a flush": line(wanted) + flush, "a request, then text": line(wanted) + b"hello", "upper-case length": b"002D" + b"git-upload-pack /nope.git\0host=localhost\0", "mixed-case length": b"002d".upper() + b"git-upload-pack /nope.git\0host=localhost\0",
        "no hex": b"zzzz", "half hex": b"00zz", "other half": b"zz00", "blanks": b"    ", "minus": b"-001", "0x": b"0x10", "plus": b"+010", "no hex and text": b"hello world\r\n", "length too small": b"000agit-upload-pack /nope.git\0host=x\0", "length cuts the path": b"001cgit-upload-pack /nope.git\0host=x\0", "fff0": b"fff0" + b"a" * 65516, "fff3": b"fff3" + b"a" * 65519, "fff4": b"fff4", "fff4 and text": b"fff4" + b"a" * 20, "ffff": b"ffff", "FFFF and text": b"FFFFgit", "8000 not filled": b"8000git-upload-pack /x",
        "HTTP": b"GET / HTTP/1.0\r\n\r\n", "TLS": bytes.fromhex("16030100a50100") + bytes(158), "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n", "NULs": bytes(100), "all bytes": bytes(range(256)), "nmap help": b"HELP\r\n", "nmap RPC": bytes.fromhex("80000028"), "quit": b"QUIT\r\n", "line feed": b"\n", "three bytes": b"002", "SMB": bytes.fromhex("000000a4ff534d42") + bytes(160), "JSON": b'{"id": 1}\n', "redis": b"*1\r\n$4\r\nPING\r\n",
    }
    for name, data in raw.items():
        yield question(f"raw {name}", data)
    for name in ("three bytes", "8000 not filled", "fff4", "flush"):
        yield question(f"raw {name}, then half-close", raw[name], finish=True)
    yield question("silence, then half-close", b"", finish=True)
    yield question("in three pieces", line(wanted)[:2], line(wanted)[2:20], line(wanted)[20:])
    # What follows is asked of the repository.
    master, hotfix, later, tag, release = "38c0d68537b9920b65beb6af94a6bfb2bc9712f2", "bfe93c523567e77e7300a9516eff9d985e6429d2", "9087fcd30c0ca10f70dd04e92735814a4ce17967", "06359b65ff7e2cdf15c1f6af8194a7d3390fe399", "85c51af9f85ff6347b6078089182d80b51168289"
    first, second, nobody = "8126f277233b7405c080d40654221ae12477fb4b", "d6e465977567be1ecedb68e2d7f563a39e6efbd1", "1" * 40
    paths = ["/payroll.git", "/payroll", "/payroll.git/", "/payroll/", "/payroll.git//", "/payroll.gi", "/PAYROLL.git", "/payroll.git/x", "/payroll.git.git", "/payroll.git/.git", "/x/../payroll.git", "/./payroll.git", "/...", "/", "payroll.git", "/payroll.git/refs", "/payroll.git/HEAD"]
    for path in paths:
        yield question(f"path {path}", line(up + path + "\0host=x\0"))
    opened = {version: line(up + "/payroll.git\0host=x\0" + (f"\0version={version}\0" if version else "")) for version in (0, 1, 2)}
    for version in ("0", "1", "2", "3", "02", "2x", "", "2:version=1", "1:version=2"):
        yield question(f"version {version} of the repository", line(up + f"/payroll.git\0host=x\0\0version={version}\0"))
    yield question("two versions", line(up + "/payroll.git\0host=x\0\0version=1\0version=2\0"))
    yield question("version and more", line(up + "/payroll.git\0host=x\0\0foo\0version=2\0"))
    for version in (0, 1):
        for name, steps in _git_negotiations(line, lines, flush, master, hotfix, later, tag, release, first, second, nobody):
            yield question(f"v{version} {name}", opened[version], *steps)
        yield question(f"v{version} half-close", opened[version], b"", finish=True)
        yield question(f"v{version} half-close after wants", opened[version], line(f"want {master}\n") + flush, b"", finish=True)
    for name, steps in _git_commands(line, lines, flush, delim, end, master, hotfix, later, tag, release, first, second, nobody):
        yield question(f"v2 {name}", opened[2], *steps)
    yield question("v2 half-close", opened[2], b"", finish=True)
    yield question("v2 half-close in a command", opened[2], line("command=ls-refs"), finish=True)


def _git_negotiations(line, lines, flush, master, hotfix, later, tag, release, first, second, nobody):
    """What a client of the versions 0 and 1 says after the references."""
    done = line("done\n")
    yield "flush", [flush]
    yield "flush twice", [flush + flush]
    yield "text", [line("hello\n")]
    yield "no hex", [b"zzzz"]
    yield "no hex and more", [b"zzzz hello"]
    yield "delimiter", [b"0001"]
    yield "error", [line("ERR no")]
    yield "done at once", [done]
    yield "have at once", [line(f"have {master}\n")]
    for name, want in {"unknown": nobody, "commit that no reference names": first, "short": "38c0", "no hex": "x" * 40, "long": master + "00", "upper case": master.upper(), "tag object": release, "tree": "c53e0a56cde7839d901b431c4a89124aa3ab554d", "zeros": "0" * 40}.items():
        yield f"want {name}", [line(f"want {want}\n") + flush, done]
    for caps in ("", "side-band", "side-band-64k", "side-band side-band-64k", "no-progress side-band-64k", "multi_ack side-band-64k no-progress", "multi_ack_detailed side-band-64k no-progress", "foo side-band-64k no-progress", "agent=git/1 side-band-64k no-progress", "filter side-band-64k no-progress"):
        yield f"clone with {caps or 'nothing'}", [line(f"want {master} {caps}\n") + flush, done]
    yield "clone of all", [line(f"want {master} side-band-64k no-progress\n") + lines(f"want {hotfix}\n", f"want {later}\n", f"want {tag}\n", f"want {release}\n", f"want {master}\n") + flush + done]
    for ack in ("", "multi_ack", "multi_ack_detailed", "multi_ack_detailed no-done", "no-done"):
        start = line(f"want {master} {ack} side-band-64k no-progress ofs-delta\n") + flush
        yield f"haves, {ack or 'single'}: unknown", [start + line(f"have {nobody}\n") + flush, done]
        yield f"haves, {ack or 'single'}: known", [start + line(f"have {first}\n") + flush, done]
        yield f"haves, {ack or 'single'}: known, then unknown", [start + lines(f"have {first}\n", f"have {nobody}\n") + flush, done]
        yield f"haves, {ack or 'single'}: unknown, then known", [start + lines(f"have {nobody}\n", f"have {first}\n") + flush, done]
        yield f"haves, {ack or 'single'}: another branch", [start + lines(f"have {later}\n", f"have {nobody}\n") + flush, done]
        yield f"haves, {ack or 'single'}: three rounds", [start + line(f"have {nobody}\n") + flush, line(f"have {second}\n") + flush, line(f"have {nobody}\n") + flush + done]
        yield f"haves, {ack or 'single'}: twice the same", [start + lines(f"have {first}\n", f"have {first}\n") + flush, done]
        yield f"haves, {ack or 'single'}: a tag", [start + line(f"have {release}\n") + flush, done]
        yield f"haves, {ack or 'single'}: a blob", [start + line("have 2265470c48c61c616a305bffdd376b5786271d05\n") + flush, done]
        yield f"haves, {ack or 'single'}: no hex", [start + line("have x\n") + flush, done]
        yield f"haves, {ack or 'single'}: text", [start + line("hello\n")]
        yield f"haves, {ack or 'single'}: done in the same breath", [start + line(f"have {first}\n") + done]
    start = line(f"want {master} thin-pack side-band-64k no-progress shallow deepen-since deepen-not\n")
    for name, deepen in _git_shallow(master, hotfix, later, first, second, nobody).items():
        yield f"shallow: {name}", [start + lines(*[text + "\n" for text in deepen]) + flush, done]
    yield "shallow: relative", [line(f"want {master} thin-pack side-band-64k no-progress deepen-relative\n") + lines(f"shallow {master}\n", "deepen 1\n") + flush, line(f"have {master}\n") + done]
    yield "shallow: have behind the end", [line(f"want {master} multi_ack_detailed side-band-64k no-progress\n") + line("deepen-not hotfix\n") + flush + line(f"have {first}\n") + flush]
    yield "filter not negotiated", [start + line("filter blob:none\n") + flush, done]
    yield "filter asked for", [line(f"want {master} filter\n") + line("filter blob:none\n") + flush, done]


def _git_shallow(master, hotfix, later, first, second, nobody):
    return {
        "depth 1": ["deepen 1"], "depth 2": ["deepen 2"], "depth 3": ["deepen 3"], "depth 50": ["deepen 50"], "depth 0": ["deepen 0"], "depth -1": ["deepen -1"], "depth text": ["deepen x"], "depth 1x": ["deepen 1x"], "depth hex": ["deepen 0x2"], "depth octal": ["deepen 010"], "depth infinite": ["deepen 2147483647"], "depth too large": ["deepen 99999999999"],
        "unshallow": [f"shallow {master}", "deepen 2147483647"], "deepen": [f"shallow {master}", "deepen 2"], "same depth": [f"shallow {master}", "deepen 1"], "shallow without depth": [f"shallow {hotfix}"], "shallow unknown": [f"shallow {nobody}", "deepen 1"], "shallow no hex": ["shallow x"], "shallow of a tree": ["shallow c53e0a56cde7839d901b431c4a89124aa3ab554d"],
        "since": ["deepen-since 1700200000"], "since all": ["deepen-since 1"], "since never": ["deepen-since 1900000000"], "since text": ["deepen-since x"], "since 0": ["deepen-since 0"], "not": ["deepen-not refs/heads/hotfix"], "not, short name": ["deepen-not hotfix"], "not unknown": ["deepen-not nope"], "not everything": ["deepen-not master"], "not by hash": [f"deepen-not {hotfix}"], "not a tag": ["deepen-not v1.0"], "since and depth": ["deepen-since 1700200000", "deepen 1"], "since and not": ["deepen-since 1700000001", "deepen-not hotfix"],
    }


def _git_commands(line, lines, flush, delim, end, master, hotfix, later, tag, release, first, second, nobody):
    """What a client of version 2 says after the capabilities."""
    yield "flush", [flush]
    yield "flush twice", [flush + flush]
    yield "delimiter", [delim]
    yield "response end", [end]
    yield "text", [line("hello\n")]
    yield "no hex", [b"zzzz"]
    yield "no hex and more", [b"zzzz hello"]
    yield "want", [line(f"want {master}\n")]
    for name in ("ls-refs", "fetch", "object-info", "foo", "", "ls-refs=unborn", "bundle-uri", "agent", "server-option", "fetch\0x"):
        yield f"command {name}", [lines(f"command={name}\n", "agent=git/2.39.5", "object-format=sha1", flush)]
    yield "two commands", [lines("command=ls-refs", "command=fetch", flush)]
    yield "the same twice", [lines("command=ls-refs", flush), lines("command=ls-refs", flush), flush]
    yield "agent alone", [lines("agent=git/2.39.5", flush)]
    for name in ("object-format=sha256", "object-format=foo", "object-format", "session-id=x", "server-option=x", "server-option", "foo", "foo=bar", "agent", "agents=x", "fetch=shallow", "ls-refs=unborn", "version 2"):
        yield f"capability {name}", [lines("command=ls-refs\n", name, flush)]
    start = ["command=ls-refs\n", "agent=git/2.39.5", "object-format=sha1", delim]
    for name, arguments in {"peel": ["peel"], "symrefs": ["symrefs"], "both": ["peel\n", "symrefs\n"], "unborn": ["unborn"], "prefix": ["ref-prefix refs/tags/"], "prefixes": ["ref-prefix refs/heads/", "ref-prefix HEAD"], "prefix of none": ["ref-prefix refs/nope"], "empty prefix": ["ref-prefix "], "prefix without blank": ["ref-prefix"], "prefix in a word": ["ref-prefix refs/heads/ma"], "text": ["hello"], "peels": ["peels"], "nothing": []}.items():
        yield f"ls-refs {name}", [lines(*start, *arguments, flush), flush]
    yield "ls-refs ended by a delimiter", [lines(*start, "peel", delim)]
    start = ["command=fetch", "agent=git/2.39.5", "object-format=sha1", delim, "thin-pack", "no-progress", "include-tag", "ofs-delta"]
    for name, arguments in {
        "nothing": [], "done": ["done"], "master": [f"want {master}", "done"], "everything": [f"want {master}", f"want {hotfix}", f"want {later}", f"want {tag}", f"want {release}", f"want {master}", "done"], "not done": [f"want {master}"], "unknown": [f"want {nobody}", "done"], "no hex": ["want x", "done"], "long": [f"want {master}00", "done"], "no reference": [f"want {first}", "done"], "a tree": ["want c53e0a56cde7839d901b431c4a89124aa3ab554d", "done"], "a blob": ["want 2265470c48c61c616a305bffdd376b5786271d05", "done"],
        "haves unknown": [f"want {master}", f"have {nobody}"], "haves known": [f"want {master}", f"have {first}"], "haves both": [f"want {master}", f"have {nobody}", f"have {first}"], "haves two": [f"want {master}", f"have {first}", f"have {second}"], "haves of another branch": [f"want {master}", f"have {later}"], "haves and done": [f"want {master}", f"have {first}", "done"], "haves unknown and done": [f"want {master}", f"have {nobody}", "done"], "wait for done": [f"want {master}", f"have {first}", "wait-for-done"], "haves without wants": [f"have {first}"], "have no hex": [f"want {master}", "have x"], "two wants, one reached": [f"want {master}", f"want {first}", f"have {second}"], "a tag": [f"want {release}", f"have {release}"], "have a blob": [f"want {master}", "have 2265470c48c61c616a305bffdd376b5786271d05"],
        "a blob that must be there": ["want 2265470c48c61c616a305bffdd376b5786271d05", f"have {master}", "done"], "want-ref": ["want-ref refs/heads/master", "done"], "filter": [f"want {master}", "filter blob:none", "done"], "sideband-all": [f"want {master}", "sideband-all", "done"], "packfile-uris": [f"want {master}", "packfile-uris https", "done"], "text": ["hello"], "deepen-relative": [f"want {master}", f"shallow {master}", "deepen 1", "deepen-relative", "done"], "session": ["session-id=x", f"want {master}", "done"],
    }.items():
        yield f"fetch {name}", [lines(*start, *arguments, flush), flush]
    for name, deepen in _git_shallow(master, hotfix, later, first, second, nobody).items():
        yield f"fetch shallow: {name}", [lines(*start, f"want {master}", *deepen, "done", flush), flush]
    yield "fetch in two rounds", [lines(*start, f"want {master}", f"have {nobody}", flush), lines(*start, f"want {master}", f"have {first}", flush), flush]
    yield "fetch ended by a delimiter", [lines(*start, f"want {master}", "done", delim)]
    yield "fetch with progress", [lines(*[text for text in start if text != "no-progress"], f"want {master}", "done", flush), flush]
    yield "object-info without size", [lines("command=object-info", delim, f"oid {master}", f"oid {nobody}", "oid x", flush), flush]
    yield "object-info of something else", [lines("command=object-info", delim, "type", f"oid {release}", flush), flush]
    yield "object-info of nothing", [lines("command=object-info", delim, "size", flush), flush]
    yield "object-info size", [lines("command=object-info", delim, "size", f"oid {master}", flush), flush]
def httpproxy():
    """Names that begin with "open" are for a proxy without authentication, those with "schemes" for one with all four."""
    lines = [
        "GET / HTTP/1.1", "GET / HTTP/1.0", "HEAD / HTTP/1.0", "GET /nice%20ports%2C/Tri%6Eity.txt%2ebak HTTP/1.0", "GET /x?q=<b>&\"' HTTP/1.0",
        "GET /squid-internal-mgr/info HTTP/1.1", "GET /squid-internal-static/icons/SN.png HTTP/1.0", "GET http://localhost:9/squid-internal-mgr/menu HTTP/1.1",
        "OPTIONS * HTTP/1.1", "OPTIONS / HTTP/1.0", "OPTIONS / RTSP/1.0", "OPTIONS sip:nm SIP/2.0", "OPTIONS http://a/ HTTP/1.1", "TRACE * HTTP/1.1", "TRACE http://a/ HTTP/1.1",
        "GET http://a/ HTTP/0.9", "GET http://a/", "GET http://a/ HTTP/1.2", "GET http://a/ HTTP/2.0", "GET http://a/x?q=<b> HTTP/3.0", "PRI * HTTP/2.0", "GET http://a/ HTTP/11.1",
        "GET http://a/ HTTP/1", "GET http://a/ http/1.1", "GET http://a/ HTTP/1.1 ", "GET  http://a/  HTTP/1.1", "GET\thttp://a/ HTTP/1.1", " GET http://a/ HTTP/1.1", "get http://a/ HTTP/1.1",
        "G{T http://a/ HTTP/1.1", "GET", "HELP", "EHLO a", "SSH-2.0-OpenSSH_9.2", "GET http://a HTTP/1.1", "GET http://A.Example/B%20c?q=%3Cx%3E&y='\"<b> HTTP/1.1", "GET http://a/x y HTTP/1.1",
        "GET http://u:p@a/ HTTP/1.1", "GET http://a:99999/ HTTP/1.1", "GET http://a:0/ HTTP/1.1", "GET http://a:/ HTTP/1.1", "GET http://a:8080/ HTTP/1.1", "GET http://a_b/ HTTP/1.1", "GET http://[::1]/ HTTP/1.1",
        "GET http://[::1/ HTTP/1.1", "GET http:/a HTTP/1.1", "GET http:// HTTP/1.1", "GET https://a/ HTTP/1.1", "GET https://a:443/x HTTP/1.1", "GET ftp://a/b HTTP/1.1", "GET ftp://u:p@a/x HTTP/1.1",
        "POST ftp://a/ HTTP/1.1", "GET gopher://a/ HTTP/1.1", "GET urn:foo HTTP/1.1", "GET foo://a/ HTTP/1.1", "GET whois://a/ HTTP/1.1", "GET coap://a/ HTTP/1.1", "GET a HTTP/1.1", "GET http://a/<b>'\"&;{}|^`\\ HTTP/1.1",
        "GET http://192.168.0.1/ HTTP/1.1", "GET http://a%41/ HTTP/1.1", "GET http://a..b/ HTTP/1.1", "GET http://a./ HTTP/1.1", "GET http://a?x HTTP/1.1", "GET HTTP://a/ HTTP/1.1", "GET http://a/#frag HTTP/1.1",
        "GET http://2130706433/ HTTP/1.1", "GET http://0x7f.1/ HTTP/1.1", "GET http://256.1/ HTTP/1.1", "GET http://a b/ HTTP/1.1", "GET http://a/\x9f\xe9< HTTP/1.1", "connect a:25 HTTP/1.1", "CONNECT 127.1:22 HTTP/1.1",
        "CONNECT a HTTP/1.1", "CONNECT a:25 HTTP/1.0", "CONNECT a:22 HTTP/1.1", "CONNECT [::1]:22 HTTP/1.1", "CONNECT a:0 HTTP/1.1", "CONNECT a:99999 HTTP/1.1", "CONNECT http://a/ HTTP/1.1", "CONNECT a:b HTTP/1.1",
        "CONNECT :80 HTTP/1.1", "CONNECT ::1:22 HTTP/1.1", "CONNECT / HTTP/1.1", "CONNECT a:443 HTTP/2.0", "PURGE http://a/ HTTP/1.1", "PROPFIND http://a/ HTTP/1.1", "DELETE http://a/ HTTP/1.0", "GET cache_object://localhost/menu HTTP/1.1",
    ]
    fields = [
        "Connection: close", "Proxy-Connection: close", "Connection: keep-alive", "Proxy-Connection: keep-alive", "foo", "fo{o: bar", "foo : bar", " foo: bar", "A: b\r\n c", "A: b\0c", ": c", "A: b\rc", "Expect: foo", "Expect: 100-continue",
        "Transfer-Encoding: gzip", "Transfer-Encoding: identity", "Content-Length: 3", "Content-Length: abc", "Content-Length: 0", "Content-Length: 3\r\nContent-Length: 4", "Max-Forwards: 0",
        "Proxy-Authorization: Basic", "Proxy-Authorization: Basic !!!!", "Proxy-Authorization: Basic dXNlcg==", "Proxy-Authorization: Basic OnB3", "Proxy-Authorization: basic YTpi", "Proxy-Authorization: Digest username=\"a\"", "Proxy-Authorization: Bearer x", "Proxy-Authorization: ",
        "Proxy-Authorization: NTLM TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAGAbEdAAAADw==", "Authorization: Basic YTpi", "Host: b", "Host: b\r\nHost: c", "Host: ", "Range: bytes=0-1", "If-Modified-Since: Tue, 24 Nov 2026 06:19:48 GMT", "Cache-Control: only-if-cached",
        *[f"Accept-Language: {language}" for language in ("de, en", "xx, de", "de-AT, en", "de-XX", "en-GB", "en-US,en;q=0.9", "*", "DE", "", "../../x", "en;q=0.1, de", "EN-us", "fr-fr, en")],
    ]
    for line in lines:
        yield question(f"line {line}", f"{line}\r\n\r\n".encode("latin-1"))
    for field in fields:
        for version in ("1.1", "1.0") if "onnection" in field else ("1.1",):
            yield question(f"field {field!r} {version}", f"GET http://a/ HTTP/{version}\r\n{field}\r\n\r\n".encode())
    post, get = b"POST http://a/ HTTP/1.1\r\nHost: a\r\n", b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
    others = {
        "CONNECT, German": [b"CONNECT a:443 HTTP/1.1\r\nAccept-Language: de\r\n\r\n"], "CONNECT with a body": [b"CONNECT a:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"],
        "blank lines first": [b"\r\n\r\n\n" + get], "line feeds alone": [b"GET http://a/ HTTP/1.1\nHost: a\n\n"], "two at once": [get + get.replace(b"a", b"b")], "three, one after the other": [get] * 3, "HEAD, then GET": [get.replace(b"GET", b"HEAD"), get],
        "a request in pieces": [get[:10], get[10:30], get[30:]], "half-close behind a request": [get], "half-close within a request": [get[:30]], "half-close at once": [b""],
        "POST": [post + b"Content-Length: 3\r\n\r\nabc"], "POST and GET": [post + b"Content-Length: 3\r\n\r\nabc" + get], "POST without a length": [post + b"\r\n"], "POST of length 0": [post + b"Content-Length: 0\r\n\r\n"],
        "POST, body later": [post + b"Content-Length: 3\r\n\r\n", b"abc", get], "POST 1.0": [b"POST http://a/ HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc"], "POST that expects": [post + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"],
        "POST of equal lengths": [post + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"], "POST with a bad length": [post + b"Content-Length: 3x\r\n\r\nabc"], "PUT in chunks": [post.replace(b"POST", b"PUT") + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get],
        "chunks and length": [post + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"], "HEAD with a length": [b"HEAD http://a/ HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"], "GET with a body and a query": [b"GET http://a/b?c=d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"],
        "CONNECT that expects": [b"CONNECT a:25 HTTP/1.1\r\nExpect: x\r\n\r\n"], "TLS hello": [bytes.fromhex("16030100a5010000a10303")], "TLS hello with line feed": [bytes.fromhex("16030100a5010000a10a03")], "NULs": [b"\0" * 8 + b"\r\n\r\n"], "bytes above 127": [b"GET http://a/\xe9\xff HTTP/1.1\r\n\r\n"],
        "control in the target": [b"GET http://a/\1 HTTP/1.1\r\n\r\n"], "SOCKS 5": [b"\5\1\0"], "SOCKS 4": [b"\4\1\0\x50\1\2\3\4\0"], "RDP cookie": [b"\3\0\0\x2a\x25\xe0\0\0\0\0\0Cookie: mstshash=nmap\r\n\1\0\x08\0\3\0\0\0"],
        "target of 8000": [b"GET http://a/" + b"x" * 8000 + b" HTTP/1.1\r\n\r\n"], "target of 8300": [b"GET http://a/" + b"x" * 8300 + b" HTTP/1.1\r\n\r\n"], "line without an end": [b"GET http://a/" + b"x" * 66000], "noise without an end": [b"x" * 66000],
        "noise of 4000": [b"x" * 4000], "field of 60000": [b"GET http://a/ HTTP/1.1\r\nA: " + b"x" * 60000 + b"\r\n\r\n"], "field without an end": [b"GET http://a/ HTTP/1.1\r\nA: " + b"x" * 66000], "host of 300": [b"GET http://" + b"h" * 300 + b"/ HTTP/1.1\r\n\r\n"],
        "curl": [b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nProxy-Connection: Keep-Alive\r\n\r\n"], "curl, CONNECT": [b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent: curl/7.88.1\r\nProxy-Connection: Keep-Alive\r\n\r\n"],
    }
    for name, steps in others.items():
        yield question(name, *steps, finish=name.startswith("half-close"))
    targets = [
        "GET http://example.invalid/", "GET http://192.0.2.1/", "GET http://127.0.0.1:1/x", "GET http://localhost/", "GET http://[2001:db8::1]/", "GET http://[::1]:99/", "GET ftp://example.com/", "GET ftp://192.0.2.1/", "GET https://192.0.2.1/", "GET cache_object://localhost/info",
        "HEAD http://192.0.2.1/", "POST http://192.0.2.1/", "PUT http://192.0.2.1/", "TRACE http://192.0.2.1/", "OPTIONS http://192.0.2.1/", "PURGE http://192.0.2.1/", "FOO http://192.0.2.1/", "POST http://example.invalid/", "CONNECT 192.0.2.1:443", "CONNECT 192.0.2.1:25", "CONNECT example.com:25",
        "CONNECT example.com:443", "CONNECT 127.0.0.1:1", "CONNECT [::1]:1", "CONNECT localhost:1", "GET /", "OPTIONS *", "GET http://192.0.2.1/a?b=<c>", "GET /squid-internal-mgr/info",
    ]
    for line in targets:
        yield question(f"open {line}", f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), wait=3)
    for name, request in {"1.0": "GET http://192.0.2.1/ HTTP/1.0", "1.0, CONNECT": "CONNECT 192.0.2.1:443 HTTP/1.0", "TRACE, 0": "TRACE http://192.0.2.1/ HTTP/1.1\r\nX: y\r\nMax-Forwards: 0", "German": "GET http://192.0.2.1/ HTTP/1.1\r\nAccept-Language: en-US", "with credentials": "GET http://192.0.2.1/ HTTP/1.1\r\nProxy-Authorization: Basic YTpi"}.items():
        yield question(f"open {name}", f"{request}\r\n\r\n".encode(), wait=3)
    first = "TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAGAbEdAAAADw=="
    for name, value in {"none": None, "Basic": "Basic YTpi", "Digest, alone": "Digest username=\"a\"", "Bearer": "Bearer x", "NTLM": f"NTLM {first}", "NTLM, empty": "NTLM", "Negotiate, empty": "Negotiate"}.items():
        field = "" if value is None else f"Proxy-Authorization: {value}\r\n"
        yield question(f"schemes {name}", f"GET http://a/ HTTP/1.1\r\nHost: a\r\n{field}\r\n".encode())
        yield question(f"schemes {name}, CONNECT", f"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n{field}\r\n".encode())


MASKS["httpproxy"] = [r"Date: ([^\r]+)\r\n", r"Generated (.*?) by ", r"Erzeugt am (.*?) von ", r'nonce="([0-9a-f]{32})"', r"localhost:(\d+)\r\n", r"Proxy-Authenticate: NTLM (\S+)\r\n"]
