//! What the two front doors promise to whoever writes a configuration.
//!
//! A little over 600 lines, since it is one list of such promises.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use haldane::config::{Config, Problems, Source, Surroundings, Tree, import, print, sample};
use haldane_core::{Problem, peer::Transport};

/// A machine with those environment variables and nothing else.
fn machine(variables: &[(&str, &str)]) -> Surroundings {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Surroundings {
        environment: Box::new(move |name| variables.get(name).cloned()),
        state_folder: Some("/nowhere".into()),
        write: false,
        native: Vec::new(),
        peer: Vec::new(),
        machine: "files01.example.com".into(),
        root: false,
        ipv6: true,
    }
}

fn load(file: &str, text: &str) -> Result<Config, Problems> {
    Config::parse(file, text, &machine(&[]))
}

/// All mistakes, as the operator reads them.
fn mistakes(file: &str, text: &str) -> Vec<String> {
    match load(file, text) {
        Ok(config) => panic!("loads, with {:?}", config.warnings),
        Err(Problems(problems)) => problems.iter().map(Problem::to_string).collect(),
    }
}

fn good(file: &str, text: &str) -> Config {
    load(file, text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A peer's file with those lines in it.
fn peer(lines: &str) -> String {
    format!(
        "{{\"device.node_id\": \"n\", \"logger\": {{\"class\": \"PyLogger\", \"kwargs\": {{}}}},\n{lines}\n}}"
    )
}

fn registered(service: &str) -> bool {
    haldane_services::ALL.iter().any(|entry| entry.name == service)
}

#[test]
fn every_mistake_is_shown_at_once_with_file_line_key_and_the_nearest_word() {
    let text = "listen = [\"nonsense\"]\n\
        [host]\n\
        nmae = \"x\"\n\
        [service.ftp]\n\
        port = 70000\n\
        idle = \"soon\"\n\
        [service.fpt]\n\
        [sink.stdout]\n\
        min_severity = \"hihg\"\n\
        [sink.mail]\n\
        type = \"fiel\"\n\
        [store]\n\
        keep_for = true\n";
    let found = mistakes("h.toml", text);
    let expected = [
        "h.toml:1: error: listen: expected IP addresses",
        "h.toml:3: warning: host.nmae: unknown key (did you mean \"name\"?)",
        "h.toml:5: error: service.ftp.port: expected a port from 1 to 65535, or a list of them, found 70000",
        "h.toml:6: error: service.ftp.idle: expected a time such as",
        "h.toml:7: error: service.fpt: no such service (did you mean \"ftp\"?)",
        "h.toml:9: error: sink.stdout.min_severity: expected one of",
        "h.toml:11: error: sink.mail.type: expected a kind of sink",
        "h.toml:13: error: store.keep_for: expected a time such as",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert!(found[5].ends_with("found \"hihg\" (did you mean \"high\"?)"), "{}", found[5]);
    assert!(found[6].ends_with("(did you mean \"file\"?)"), "{}", found[6]);
}

#[test]
fn every_mistake_in_the_grammar_of_toml_is_shown_with_its_line() {
    let found = mistakes("h.toml", "a = \n[service.ftp]\nport = [1\nbanner == 3\n");
    assert!(found.len() > 1, "{found:?}");
    assert!(found[0].starts_with("h.toml:1: error: not TOML: "), "{found:?}");
}

#[test]
fn a_mistake_in_the_grammar_of_json_names_its_line() {
    let found = mistakes("opencanary.conf", "{\n\"ftp.port\": 21,\n\"ftp.banner\" \"x\"\n}");
    assert!(found[0].starts_with("opencanary.conf:3: error: not JSON: "), "{found:?}");
    let found = mistakes("opencanary.conf", "{\n\"device.node_id\": [[[\n");
    assert_eq!(found.len(), 1, "{found:?}");
    let found = mistakes("opencanary.conf", "[1]");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn values_nested_without_end_are_a_mistake_and_cost_no_stack() {
    for deep in [70, 100_000] {
        let lists = format!("{{\"device.node_id\": {}", "[".repeat(deep));
        assert!(!mistakes("opencanary.conf", &lists).is_empty());
        let closed = format!("{{\"device.node_id\": {}{}}}", "[".repeat(deep), "]".repeat(deep));
        assert!(!mistakes("opencanary.conf", &closed).is_empty());
        assert!(!mistakes("h.toml", &format!("a = {}{}", "[".repeat(deep), "]".repeat(deep))).is_empty());
        assert!(!mistakes("h.toml", &format!("a{} = 1", ".a".repeat(deep))).is_empty());
        assert!(!mistakes("h.toml", &format!("[a{}]", ".a".repeat(deep))).is_empty());
    }
}

#[test]
fn a_file_cut_anywhere_is_read_or_refused() {
    let around = machine(&[]);
    let text = sample::toml(&around);
    for (file, text) in [("o.conf", FULL), ("h.toml", &text)] {
        for end in (0..text.len()).step_by(37).filter(|end| text.is_char_boundary(*end)) {
            if let Err(Problems(problems)) = Tree::parse(file, &text[..end], &around) {
                assert!(problems.iter().all(|problem| problem.place.is_some()), "{problems:?}");
            }
        }
    }
}

#[test]
fn the_format_is_told_by_the_content_whatever_the_name() {
    assert_eq!(good("odd.name", &peer("\"ftp.enabled\": true")).services.len(), 1);
    assert_eq!(good("odd.name", "[service.ftp]").services.len(), 1);
    assert_eq!(good("o.conf", &format!("// a remark\n{}", peer("\"ftp.enabled\": true,"))).services.len(), 1);
    assert_eq!(good("o.conf", &format!("\u{feff}{}", peer("\"ftp.enabled\": true"))).services.len(), 1);
}

#[test]
fn environment_variables_are_replaced_at_any_depth_and_hashes_are_not() {
    let set =
        [("NAME", "kiosk"), ("pbkdf2", "no"), ("n3MuxdjbGyPE", "no"), ("ExZaitYddaj26rBVCTi0fZeBb", "no")];
    let around = machine(&set);
    let hash = "$pbkdf2-sha512$25000$n3MuxdjbGyPE.D/nPIcQIg$ExZaitYddaj26rBVCTi0fZeBb.iDAN3HlBJHDxCbudoBlsm4UL3ZOLRYHpczm\
        HLyxwfG2lHXLfl.cb1xLj1Y4g";
    let text = peer(&format!(
        r#""device.name": "${{NAME}}-$NAME", "ftp.enabled": true, "ftp.banner": "$UNSET ${{UNSET}} $5 100$ $ ${{ $NAME.",
        "ftp.honeycreds": [{{"username": "$NAME", "password": "{hash}"}}]"#
    ));
    let config = Config::parse("o.conf", &text, &around).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.host.label, "kiosk-kiosk");
    let ftp = print::toml(&config.services[0].table, "", &[]);
    assert!(ftp.contains("banner = \"$UNSET ${UNSET} $5 100$ $ ${ kiosk.\""), "{ftp}");
    assert!(ftp.contains("username = \"kiosk\"") && ftp.contains(hash), "{ftp}");
    let native = Config::parse("h.toml", "[host]\nnode_id = \"at-$NAME\"", &around).unwrap();
    assert_eq!(native.host.node_id, "at-kiosk");
}

#[test]
fn the_embedded_default_listens_on_loopback_alone_and_on_high_ports() {
    let config = Config::load(&Source::Search, &machine(&[])).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, []);
    for service in &config.services {
        for endpoint in &service.endpoints {
            assert!(endpoint.address.ip().is_loopback() && endpoint.address.port() > 1024, "{endpoint}");
        }
    }
    let listening = haldane_services::ALL.iter().filter(|entry| !entry.watches()).count();
    assert_eq!(config.services.len(), listening, "every service has its place there");
    assert_eq!(config.sinks.len(), 1);
}

#[test]
fn the_sample_loads_as_it_is_and_with_every_default_spelled_out() {
    let around = machine(&[]);
    let text = sample::toml(&around);
    let config = Config::parse("sample.toml", &text, &around).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, []);
    assert_eq!(config.services.len(), haldane_services::ALL.iter().filter(|entry| entry.on).count());
    let mut off = false;
    let spelled: String = text
        .lines()
        .map(|line| {
            off = if line.contains("[sink.") { line.starts_with('#') } else { off };
            format!("{}\n", if off { line } else { spelled_out(line) })
        })
        .collect();
    let explicit =
        Config::parse("sample.toml", &spelled, &around).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(explicit.warnings, []);
    for (one, other) in config.services.iter().zip(&explicit.services) {
        assert_eq!((one.limits, &one.endpoints, &one.tls), (other.limits, &other.endpoints, &other.tls));
    }
    assert_eq!((config.store, config.host, config.limits), (explicit.store, explicit.host, explicit.limits));
}

/// `#key = value` without its sign; what has no default stays a comment.
fn spelled_out(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(rest) if rest.contains(" = ") && !rest.starts_with([' ', '#']) => rest,
        _ => line,
    }
}

#[test]
fn sip_listens_over_both_unless_told_otherwise_and_a_tcp_banner_does_not() {
    let found = |text: &str| {
        let config = good("h.toml", &format!("listen = [\"127.0.0.1\"]\n{text}"));
        config.services[0].endpoints.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(found("[service.sip]"), ["127.0.0.1:5060", "127.0.0.1:5060/udp"]);
    assert_eq!(found("[service.sip]\ntransport = \"udp\""), ["127.0.0.1:5060/udp"]);
    assert_eq!(found("[service.tcpbanner]"), ["127.0.0.1:8001"]);
    let config = good("o.conf", &peer("\"sip.enabled\": true, \"sip.port\": 5062"));
    let found: Vec<_> = config.services[0].endpoints.iter().map(|endpoint| endpoint.transport).collect();
    assert!(found.contains(&Transport::Udp) && found.contains(&Transport::Tcp), "{found:?}");
}

#[test]
fn a_service_listens_on_each_of_its_addresses_and_ports() {
    let config = good("h.toml", "listen = [\"127.0.0.1\", \"::1\"]\n[service.ftp]\nport = [21, 2121]");
    let found: Vec<String> = config.services[0].endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["127.0.0.1:21", "[::1]:21", "127.0.0.1:2121", "[::1]:2121"]);
    let config = good("h.toml", "[service.ftp]\naddress = \"10.0.0.1\"");
    assert_eq!(config.services[0].endpoints[0].address.ip(), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(config.services[0].endpoints[0].transport, Transport::Tcp);
    // LDAP has a port that is inside TLS, which is no port of datagrams.
    let several = good("h.toml", "listen = [\"127.0.0.1\"]\n[service.ldap]");
    let found: Vec<String> = several.services[0].endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["127.0.0.1:389", "127.0.0.1:636", "127.0.0.1:389/udp"]);
    let everywhere = good("h.toml", "listen = \"\"\n[service.ftp]");
    let found: Vec<String> = everywhere.services[0].endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["0.0.0.0:21", "[::]:21"]);
}

#[test]
fn every_address_is_every_one_of_ipv4_where_there_is_no_ipv6() {
    let around = Surroundings { ipv6: false, ..machine(&[]) };
    let config =
        Config::parse("h.toml", "[[service.ftp]]\n[[service.ftp]]\nport = 22\naddress = \"::\"", &around)
            .unwrap();
    let found: Vec<String> =
        config.services.iter().flat_map(|s| &s.endpoints).map(ToString::to_string).collect();
    assert_eq!(found, ["0.0.0.0:21", "[::]:22"]);
}

#[test]
fn several_instances_of_a_service_stand_in_a_list() {
    let config = good(
        "h.toml",
        "[[service.ftp]]\nport = 21\n[[service.ftp]]\nport = 2121\n[[service.ftp]]\nenabled = false",
    );
    assert_eq!(
        config.services.iter().map(|service| service.label()).collect::<Vec<_>>(),
        ["ftp", "ftp (port 2121)"]
    );
}

#[test]
fn two_services_on_one_port_are_a_mistake_that_names_both() {
    let found = mistakes("h.toml", "[[service.ftp]]\nport = 99\n[[service.ftp]]\nport = [98, 99]");
    assert_eq!(
        found,
        [
            "h.toml:4: error: service.ftp.port: port 99 is wanted by ftp and by ftp (service.ftp.port, line 2): expected \
            one service on each port"
        ]
    );
    let disabled = "[[service.ftp]]\nport = 99\n[[service.ftp]]\nport = 99\nenabled = false";
    assert_eq!(good("h.toml", disabled).services.len(), 1);
    let apart = "[[service.ftp]]\naddress = \"127.0.0.1\"\n[[service.ftp]]\naddress = \"127.0.0.2\"";
    assert_eq!(good("h.toml", apart).services.len(), 2);
    let within = "[[service.ftp]]\naddress = \"\"\n[[service.ftp]]\naddress = \"127.0.0.2\"";
    assert_eq!(mistakes("h.toml", within).len(), 1);
}

#[test]
fn bounds_can_be_set_for_a_service_and_keep_their_defaults_otherwise() {
    let text = "[service.ftp]\nidle = \"5m\"\nlifetime = 7200\nmax_connections = 10\nmax_per_source = 2\nproxy_protocol = true";
    let config = good("h.toml", text);
    let limits = config.services[0].limits;
    assert_eq!((limits.idle, limits.lifetime), (Duration::from_secs(300), Duration::from_secs(7200)));
    assert_eq!((limits.connections, limits.per_peer), (10, 2));
    let proxies = config.services[0].proxies.as_ref().unwrap();
    assert!(proxies.iter().any(|net| net.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST))));
    assert!(good("h.toml", "[service.ftp]").services[0].proxies.is_none());
}

#[test]
fn mapped_and_untidy_ranges_of_the_ignore_list_are_put_right() {
    let config = good(
        "h.toml",
        "[ignore]\nsources = [\"::ffff:10.0.0.5\", \"::ffff:10.1.0.0/112\", \"10.2.3.4/8\", \"fd00::1\"]",
    );
    let found: Vec<String> = config.ignore.sources.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["10.0.0.5/32", "10.1.0.0/16", "10.0.0.0/8", "fd00::1/128"]);
}

#[test]
fn the_fingerprint_of_a_service_follows_its_settings_and_not_their_lines() {
    let one = good("h.toml", "[service.ftp]\nport = 21\nidle = \"5m\"");
    let moved = good("h.toml", "# a remark\n\n[service.ftp]\nidle = \"5m\"\n\nport = 21");
    let other = good("h.toml", "[service.ftp]\nport = 21\nidle = \"6m\"");
    assert_eq!(one.services[0].fingerprint, moved.services[0].fingerprint);
    assert_ne!(one.services[0].fingerprint, other.services[0].fingerprint);
    let elsewhere = good("h.toml", "listen = \"127.0.0.1\"\n[service.ftp]\nport = 21\nidle = \"5m\"");
    assert_ne!(one.services[0].fingerprint, elsewhere.services[0].fingerprint);
}

#[test]
fn state_is_kept_where_the_option_the_file_or_the_custom_say_in_that_order() {
    let around = |variables: &[(&str, &str)], option: Option<&str>, root| Surroundings {
        state_folder: option.map(PathBuf::from),
        root,
        ..machine(variables)
    };
    let folder =
        |text: &str, around: &Surroundings| Config::parse("h.toml", text, around).unwrap().state_folder;
    let set = "state_folder = \"/from/file\"";
    assert_eq!(folder(set, &around(&[], Some("/from/option"), true)), PathBuf::from("/from/option"));
    assert_eq!(folder(set, &around(&[], None, true)), PathBuf::from("/from/file"));
    assert_eq!(folder("", &around(&[("HOME", "/root")], None, true)), PathBuf::from("/var/lib/haldane"));
    let made = [("STATE_DIRECTORY", "/var/lib/private/haldane:/other"), ("HOME", "/")];
    assert_eq!(folder("", &around(&made, None, true)), PathBuf::from("/var/lib/private/haldane"));
    let both = [("HOME", "/home/a"), ("XDG_STATE_HOME", "/state")];
    assert_eq!(folder("", &around(&both, None, false)), PathBuf::from("/state/haldane"));
    assert_eq!(folder("", &around(&both[..1], None, false)), PathBuf::from("/home/a/.local/state/haldane"));
}

#[test]
fn the_first_of_the_peers_files_that_parses_wins_and_the_others_are_remarked_upon() {
    let folder = tempfolder("precedence");
    let files: Vec<PathBuf> = ["etc", "home", "here"].iter().map(|name| folder.join(name)).collect();
    let around = || Surroundings { peer: files.clone(), ..machine(&[]) };
    let error = Config::load(&Source::SearchPeer, &around()).unwrap_err();
    assert!(error.to_string().contains("no usable configuration"), "{error}");
    fs::write(&files[0], "{ not json").unwrap();
    fs::write(&files[1], peer("\"ftp.enabled\": true")).unwrap();
    fs::write(&files[2], peer("\"ftp.enabled\": true, \"ftp.port\": 1")).unwrap();
    let config = Config::load(&Source::SearchPeer, &around()).unwrap();
    assert_eq!(config.origin, files[1].display().to_string());
    assert!(config.warnings[0].to_string().contains("not JSON"), "{:?}", config.warnings);
    fs::remove_file(&files[1]).unwrap();
    fs::remove_file(&files[2]).unwrap();
    let error = Config::load(&Source::SearchPeer, &around()).unwrap_err();
    assert!(error.0[0].to_string().contains("not JSON") && error.0[0].fatal, "{error}");
    fs::write(&files[0], peer("\"ftp.enabled\": 3")).unwrap();
    fs::write(&files[2], peer("\"ftp.enabled\": true")).unwrap();
    let error = Config::load(&Source::SearchPeer, &around()).unwrap_err();
    assert!(
        error.to_string().contains("ftp.enabled: expected true or false"),
        "a file that parses wins: {error}"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn mistakes_in_the_peers_file_name_its_own_keys() {
    let found = mistakes(
        "opencanary.conf",
        "{\"device.node_id\": 3,\n\"ftp.enabled\": true,\n\"ftp.port\": \"21\",\n\"FTP.baner\": \"x\",\n\"ftp.banner\": 1,\n\
        \"telnet.enabled\": \"yes\",\n\"tcpbanner_1.alertstring.enable\": true,\n\"logtype.ignorelist\": [\"x\"]\n}",
    );
    let expected = [
        "opencanary.conf: warning: logger: there is no logger",
        "opencanary.conf:1: error: device.node_id: expected text, found 3",
        "opencanary.conf:3: error: ftp.port: expected a port from 1 to 65535",
        "opencanary.conf:4: warning: FTP.baner: unknown key (did you mean \"ftp.banner\"?)",
        "opencanary.conf:5: error: ftp.banner: expected text, found 1",
        "opencanary.conf:6: error: telnet.enabled: expected true or false, found \"yes\"",
        "opencanary.conf:7: warning: tcpbanner_1.alertstring.enable: unknown key (did you mean \"tcpbanner_1.alertstring.enabled\"?)",
        "opencanary.conf:8: error: logtype.ignorelist: ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn a_file_without_a_node_id_is_refused() {
    let found = mistakes("opencanary.conf", "{\"logger\": {}}");
    assert!(found[0].starts_with("opencanary.conf: error: device.node_id: expected a name"), "{found:?}");
}

#[test]
fn the_last_of_two_values_counts_and_services_match_without_case() {
    let config = good(
        "o.conf",
        &peer("\"FTP.Enabled\": true, \"Ftp.enabled\": true,\n\"fTp.port\": 1, \"ftp.port\": 2"),
    );
    assert_eq!(config.services[0].endpoints[0].address.port(), 2);
}

#[test]
fn disabled_services_may_share_a_port_and_enabled_ones_may_not() {
    let lines = "\"ftp.enabled\": true, \"ftp.port\": 80, \"http.enabled\": false, \"http.port\": 80";
    assert_eq!(good("o.conf", &peer(lines)).services.len(), 1);
    if registered("http") {
        let found =
            mistakes("o.conf", &peer("\"ftp.enabled\": true,\n\"ftp.port\": 80,\n\"http.enabled\": true"));
        assert!(found[0].contains("wanted by http and by ftp (ftp.port, line 3)"), "{found:?}");
    }
}

#[test]
fn the_peers_defaults_are_kept_where_ours_differ() {
    let table =
        import::translate(&json(&peer("\"ftp.enabled\": true, \"https.enabled\": true")), &mut Vec::new());
    let text = print::toml(&table, "x", &[]);
    assert!(text.contains("[service.ftp]\nport = 21\nbanner = \"FTP server ready\"\n"), "{text}");
    let https = "[service.https]\nport = 443\nskin = \"nasLogin\"\ncertificate = \"/etc/ssl/opencanary/opencanary.pem\"\n\
        key = \"/etc/ssl/opencanary/opencanary.key\"\ndomain_name = \"synologynas.local\"\nbanner = \"Apache/2.2.22 (Ubuntu)\"\n";
    assert!(text.contains(https), "{text}");
}

#[test]
fn https_shares_the_banner_of_http() {
    let lines = "\"https.enabled\": true, \"http.banner\": \"nginx\", \"http.skindir\": \"/skin\"";
    let text = print::toml(&import::translate(&json(&peer(lines)), &mut Vec::new()), "x", &[]);
    assert!(text.contains("banner = \"nginx\"\nskindir = \"/skin\"\n"), "{text}");
}

#[test]
fn tcp_banners_up_to_maxnum_become_instances() {
    let lines = r#""tcpbanner.enabled": true, "tcpbanner.maxnum": 2,
        "tcpbanner_1.enabled": true, "tcpbanner_1.initbanner": "hello\\r\\n", "tcpbanner_1.alertstring.enabled": true,
        "tcpbanner_1.alertstring": "alert!", "tcpbanner_1.keep_alive.enabled": true, "tcpbanner_1.keep_alive_secret": "s",
        "tcpbanner_2.enabled": true, "tcpbanner_2.port": 9, "tcpbanner_3.enabled": true"#;
    let mut problems = Vec::new();
    let text = print::toml(&import::translate(&json(&peer(lines)), &mut problems), "x", &[]);
    let first = "[[service.tcpbanner]]\nid = \"1\"\nport = 8001\ninitbanner = \"hello\\\\r\\\\n\"\ndatareceivedbanner = \"\"\n\
        alertstring_enabled = true\nalertstring = \"alert!\"\nkeep_alive = true\nkeep_alive_secret = \"s\"\n\
        keep_alive_probes = 11\nkeep_alive_interval = 300\nkeep_alive_idle = 300\n";
    assert!(text.contains(first), "{text}");
    assert!(text.contains("[[service.tcpbanner]]\nid = \"2\"\nport = 9\n"), "{text}");
    assert!(!text.contains("id = \"3\""), "{text}");
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains("tcpbanner_3.enabled: ignored: tcpbanner.maxnum allows 1 to 2"));
}

/// What is found in a logger block with those handlers, at the line of each.
fn handlers(lines: &str) -> Vec<String> {
    let text = format!(
        "{{\"device.node_id\": \"n\", \"logger\": {{\"class\": \"PyLogger\", \"kwargs\": {{\"formatters\": {{\"plain\": \
        {{\"format\": \"%(message)s\"}}}}, \"handlers\": {{\n{lines}\n}}}}}}}}"
    );
    let mut problems = Vec::new();
    import::translate(&json(&text), &mut problems);
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn handlers_that_pickle_are_refused_with_the_one_to_use_instead() {
    for class in ["SocketHandler", "DatagramHandler"] {
        let found = handlers(&format!(
            "\"a\": {{\"class\": \"logging.handlers.{class}\", \"host\": \"h\", \"port\": 1}}"
        ));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("o.conf:2: error: logger.kwargs.handlers.a.class: "), "{found:?}");
        assert!(found[0].contains("SocketJSONHandler"), "{found:?}");
    }
}

#[test]
fn handlers_that_this_version_has_not_are_remarked_upon_and_unknown_ones_refused() {
    for class in
        ["logging.handlers.HTTPHandler", "opencanary.logger.SlackHandler", "opencanary.logger.TeamsHandler"]
    {
        let found = handlers(&format!("\"a\": {{\"class\": \"{class}\"}}"));
        assert!(
            found[0].contains("warning: ") && found[0].contains("not available in this version yet"),
            "{found:?}"
        );
    }
    let found = handlers("\"a\": {\"class\": \"logging.FileHandlr\"}");
    assert!(found[0].ends_with("(did you mean \"logging.FileHandler\"?)"), "{found:?}");
    assert!(handlers("\"a\": {\"class\": \"logging.NullHandler\"}").is_empty());
    assert!(handlers("\"a\": {}")[0].contains("expected a class"));
    assert!(handlers("\"a\": 3")[0].contains("expected an object, found 3"));
}

#[test]
fn mistakes_in_a_handler_name_its_own_arguments() {
    let found = handlers(
        "\"a\": {\"class\": \"logging.FileHandler\", \"filname\": \"x\",\n\"formatter\": \"plian\"},\n\
        \"b\": {\"class\": \"logging.handlers.SysLogHandler\", \"address\": 3,\n\"socktype\": \"tcp\"},\n\
        \"c\": {\"class\": \"logging.handlers.SMTPHandler\", \"mailhost\": [\"a\"], \"fromaddr\": \"a@b\", \"toaddrs\": [],\n\
        \"credentials\": \"x\"}",
    );
    let expected = [
        "o.conf:2: warning: logger.kwargs.handlers.a.filname: unknown key (did you mean \"filename\"?)",
        "o.conf:2: error: logger.kwargs.handlers.a.filename: expected a value, found none",
        "o.conf:3: error: logger.kwargs.handlers.a.formatter: there is no formatter \"plian\" (did you mean \"plain\"?)",
        "o.conf:4: error: logger.kwargs.handlers.b.address: expected [\"host\", port] or the path of a socket, found 3",
        "o.conf:5: error: logger.kwargs.handlers.b.socktype: expected \"ext://socket.SOCK_DGRAM\" or \
         \"ext://socket.SOCK_STREAM\", found \"tcp\"",
        "o.conf:6: error: logger.kwargs.handlers.c.mailhost: expected \"host\" or [\"host\", port], found a list",
        "o.conf:7: error: logger.kwargs.handlers.c.credentials: expected [\"user\", \"password\"], found \"x\"",
    ];
    assert_eq!(found, expected);
}

#[test]
fn handlers_become_sinks_that_write_as_the_peer_does() {
    let root = import::translate(&json(FULL), &mut Vec::new());
    let text = print::toml(&root, "x", &[]);
    let audience = |operational: bool| {
        format!(
            "format = \"compatible\"\nmin_severity = \"low\"\noperational = {operational}\nmask = false\nnotify = \"event\"\n"
        )
    };
    let everything = audience(true);
    let people = audience(false);
    for expected in [
        format!("[sink.console]\ntype = \"stdout\"\nstream = \"stdout\"\n{everything}"),
        format!(
            "[sink.file]\ntype = \"file\"\npath = \"/nowhere/a.log\"\nmode = \"a\"\n{everything}pattern = \"%(message)s\"\n"
        ),
        format!(
            "[sink.sized]\ntype = \"file\"\npath = \"/nowhere/c.log\"\n{everything}rotate_size = 1048576\nkeep = 3\n\
            pattern = \"%(asctime)s %(message)s\"\ndate_format = \"%b %d %H:%M:%S\"\n"
        ),
        format!(
            "[sink.timed]\ntype = \"file\"\npath = \"/nowhere/d.log\"\n{everything}rotate_when = \"midnight\"\n\
            rotate_interval = 1\nkeep = 7\nutc = true\n"
        ),
        format!(
            "[sink.syslog]\ntype = \"syslog\"\naddress = \"localhost:514\"\ntransport = \"udp\"\nfacility = \"local0\"\n\
            protocol = \"python\"\n{everything}"
        ),
        format!(
            "[sink.unix]\ntype = \"syslog\"\naddress = \"/dev/log\"\ntransport = \"unix\"\nprotocol = \"python\"\n{everything}"
        ),
        format!(
            "[sink.mail]\ntype = \"smtp\"\nhost = \"smtp.example.com\"\nport = 587\nfrom = \"canary@example.com\"\n\
            to = [\"alice@example.com\", \"bob@example.com\"]\nsubject = \"OpenCanary Alert\"\nusername = \"user\"\n\
            password = \"password\"\nsecurity = \"starttls\"\nverify = false\njson = \"only\"\ntimeout = 10\n{people}"
        ),
        format!("proxies = {{ https = \"http://proxy.example.com:3128\" }}\n{people}"),
    ] {
        assert!(text.contains(&expected), "{expected}\n\n{text}");
    }
}

#[test]
fn a_webhook_without_data_sends_what_the_peer_sends() {
    let text = "{\"logger\": {\"kwargs\": {\"handlers\": {\"h\": {\"class\": \"opencanary.logger.WebhookHandler\", \
        \"url\": \"http://x\", \"data\": null}}}}}";
    let text = print::toml(&import::translate(&json(text), &mut Vec::new()), "x", &[]);
    assert!(text.contains("data = { message = \"%(message)s\" }\nstatus_code = 200\n"), "{text}");
}

fn json(text: &str) -> haldane_core::Table {
    haldane::config::text::json("o.conf", text, &|_| None).unwrap()
}

fn tempfolder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("haldane-config-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Every key of the peer with a value that it takes, for the services that this version has.
const FULL: &str = include_str!("opencanary-full.conf");

#[test]
fn sensors_of_the_peers_file_watch_what_it_says_and_want_no_port() {
    let feeds = |lines: &str| {
        let config =
            Config::parse("opencanary.conf", &peer(lines), &machine(&[])).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(config.warnings, []);
        let feeds = |service: &haldane::config::ServiceConfig| {
            assert_eq!(service.endpoints, []);
            (service.entry.name, format!("{:?}", service.service.sensor.as_ref().unwrap().feeds()))
        };
        config.services.iter().map(feeds).collect::<Vec<_>>()
    };
    let on = feeds(
        "\"smb.enabled\": true, \"llmnr.enabled\": true, \"llmnr.port\": 5356, \"llmnr.hostname\": \"DC9\"",
    );
    let network = "[Network(Network { interfaces: [], groups: [] })]";
    let expected = [("llmnr", network), ("smb", "[Lines(\"/var/log/samba-audit.log\")]")];
    assert_eq!(on, expected.map(|(name, feeds)| (name, feeds.to_owned())));
    let scans = feeds("\"portscan.enabled\": true");
    assert_eq!(scans, [("portscan", "[Packets]".to_owned())], "a log is read where it is named");
    let scans =
        feeds("\"portscan.enabled\": true, \"portscan.logfile\": \"/x\", \"portscan.ignore_ports\": [22]");
    assert_eq!(scans, [("portscan", "[Packets, Lines(\"/x\")]".to_owned())]);
    let set =
        feeds("\"smb.enabled\": true, \"smb.port\": 9, \"smb.auditfile\": \"/x\", \"llmnr.enabled\": false");
    assert_eq!(set, [("smb", "[Lines(\"/x\")]".to_owned())]);
}

#[test]
fn every_key_of_the_peer_is_known() {
    let known = import::known_keys();
    let table = json(FULL);
    for item in &table.entries {
        let generic = item.key.replace("tcpbanner_1.", "tcpbanner_N.");
        assert!(known.contains(&generic), "{}", item.key);
    }
    for key in known {
        let written = key.replace("tcpbanner_N.", "tcpbanner_1.");
        assert!(table.get(&written).is_some(), "{written} is not in the file");
    }
    let mut problems = Vec::new();
    import::translate(&table, &mut problems);
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_file_with_every_key_loads_without_a_remark() {
    let config = good("o.conf", FULL);
    assert_eq!(config.warnings, []);
    // Services that the peer has not.
    let ours = ["ldap", "mssqlbrowser", "winrm"];
    let known = haldane_services::ALL.iter().filter(|entry| entry.on && !ours.contains(&entry.name));
    assert_eq!(config.services.len(), known.count());
    assert_eq!(
        config.sinks.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>(),
        ["console", "file", "watched", "sized", "timed", "syslog", "unix", "mail", "hook"]
    );
}

#[test]
fn what_import_prints_loads_as_the_same_model() {
    let around = machine(&[]);
    let original = good("o.conf", FULL);
    let tree = Tree::parse("o.conf", FULL, &around).unwrap();
    let text = print::toml(&tree.root, "o.conf", &tree.remarks);
    let imported = good("imported.toml", &text);
    assert_eq!(imported.warnings, []);
    assert_eq!(original.host, imported.host);
    assert_eq!(original.ignore, imported.ignore);
    let services = |config: &Config| {
        config
            .services
            .iter()
            .map(|service| (service.fingerprint.clone(), service.endpoints.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(services(&original), services(&imported));
    let sinks = |config: &Config| {
        config.sinks.iter().map(|sink| (sink.fingerprint.clone(), sink.delivery.clone())).collect::<Vec<_>>()
    };
    assert_eq!(sinks(&original), sinks(&imported));
}

#[test]
fn the_names_of_the_host_follow_from_each_other_unless_they_are_given() {
    let windows = |keys: &str| good("c.toml", &format!("[host]\nname = \"files01\"\n{keys}")).host.windows;
    let alone = windows("");
    assert_eq!(
        (alone.computer.as_str(), alone.group.as_str(), alone.joined()),
        ("FILES01", "WORKGROUP", false)
    );
    let joined = windows("domain = \"corp.example.com\"\nwindows = \"2012r2\"");
    assert_eq!((joined.group.as_str(), joined.dns_name.as_str()), ("CORP", "files01.corp.example.com"));
    assert_eq!((joined.release.version, joined.release.build), ((6, 3), 9600));
    let given = windows("domain = \"corp.example.com\"\nnetbios_name = \"srv9\"\nnetbios_domain = \"ACME\"");
    assert_eq!((given.computer.as_str(), given.authority()), ("SRV9", "ACME"));
    let wrong = "[host]\ndomain = \"a..b\"\nnetbios_name = \"sixteen-letters-\"\nnetbios_domain = \"a b\"\nwindows = \"95\"";
    let found = mistakes("c.toml", wrong);
    assert_eq!(found.len(), 4, "{found:#?}");
}
