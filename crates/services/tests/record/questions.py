"""What is asked of each service: everything that a tester might send before a login, in order and out of it.

Lines are long here: each question is one.
"""

import itertools
import random
import struct

from questions_sip import sip
from questions_snmp import snmp


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
