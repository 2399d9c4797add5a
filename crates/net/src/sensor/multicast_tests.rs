use std::{future::poll_fn, net::UdpSocket as Plain};

use super::*;

fn own(text: &str) -> Own {
    Own { interface: "lo".into(), index: 1, address: text.parse().unwrap(), broadcast: None }
}

fn on_loopback(groups: &[SocketAddr]) -> Links {
    Links::new(&Network { interfaces: vec!["lo".into()], groups: groups.to_vec() })
}

/// The next datagram: whence, whither, over what, and its bytes.
async fn heard(links: &mut Links) -> (SocketAddr, SocketAddr, String, Vec<u8>) {
    loop {
        poll_fn(|cx| links.poll_ready(cx)).await;
        if let Some(found) = links.next() {
            return (found.from, found.to, found.interface.to_owned(), found.bytes.to_vec());
        }
    }
}

/// Somebody in that group, on loopback.
fn member(group: &str) -> (Plain, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.bind(&SocketAddr::from(([0, 0, 0, 0], 0)).into()).unwrap();
    let group: std::net::Ipv4Addr = group.parse().unwrap();
    socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(1)).unwrap();
    let socket = Plain::from(socket);
    let at = SocketAddr::new(group.into(), socket.local_addr().unwrap().port());
    (socket, at)
}

#[tokio::test]
async fn whoever_is_in_the_group_hears_it_and_its_answer_is_heard() {
    let (other, group) = member("239.255.17.1");
    let mut links = on_loopback(&[]);
    links.send(&[(Destination::Group(group), b"who?".to_vec())]);
    assert_eq!(links.news(), None);
    let mut buffer = [0; 16];
    let (length, from) = other.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from.ip()), (&b"who?"[..], "127.0.0.1".parse().unwrap()));
    // Not from the port that was asked, as the group's own port may be another's.
    let answering = Plain::bind("127.0.0.1:0").unwrap();
    answering.send_to(b"me", from).unwrap();
    let (by, to, interface, bytes) = heard(&mut links).await;
    assert_eq!((by, to), (answering.local_addr().unwrap(), from));
    assert_eq!((interface.as_str(), bytes.as_slice()), ("lo", &b"me"[..]));
}

#[tokio::test]
async fn what_is_sent_to_a_group_is_heard_with_the_group_as_its_destination_beside_another_listener() {
    let (other, group) = member("239.255.17.2");
    // A daemon that has the port already, as one of mDNS would.
    let daemon = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    daemon.set_reuse_address(true).unwrap();
    daemon.set_reuse_port(true).unwrap();
    daemon.bind(&SocketAddr::from(([0, 0, 0, 0], 0)).into()).unwrap();
    let port = daemon.local_addr().unwrap().as_socket().unwrap().port();
    let ours = SocketAddr::new(group.ip(), port);
    let mut links = on_loopback(&[ours]);
    links.send(&[]);
    assert_eq!(links.news(), None);
    SockRef::from(&other).set_multicast_if_v4(&[127, 0, 0, 1].into()).unwrap();
    other.send_to(b"all hear this", ours).unwrap();
    let (_, to, _, bytes) = heard(&mut links).await;
    assert_eq!((to, bytes.as_slice()), (ours, &b"all hear this"[..]));
    // What is sent to that port alone is the daemon's, which has lost nothing by us either.
    other.send_to(b"for the daemon", ("127.0.0.1", port)).unwrap();
    let (mut buffer, daemon) = ([0; 32], Plain::from(daemon));
    assert_eq!([(); 2].map(|()| daemon.recv(&mut buffer).unwrap()), [13, 14]);
    assert!(links.next().is_none());
}

#[tokio::test]
async fn without_an_interface_there_is_trouble_that_is_told_once() {
    let mut links = Links::new(&Network { interfaces: vec!["none0".into()], groups: Vec::new() });
    assert_eq!(links.news(), None);
    links.send(&[(Destination::Everybody(9), b"x".to_vec())]);
    let told = poll_fn(|cx| links.poll_ready(cx).map(|()| links.news())).await.unwrap();
    assert_eq!(told.kind, &BLIND);
    links.send(&[]);
    assert_eq!(links.news(), None);
    links.wanted.interfaces = vec!["lo".into()];
    links.send(&[]);
    assert_eq!(links.news().unwrap().kind, &SEES);
}

#[tokio::test]
async fn a_busy_link_does_not_keep_the_others_from_being_heard() {
    let mut links = on_loopback(&[]);
    for address in ["127.0.0.1:0", "127.0.0.2:0"] {
        links.links.push(Link::open(own(address), &[]).unwrap());
    }
    let other = Plain::bind("127.0.0.1:0").unwrap();
    let ports: Vec<SocketAddr> = links.links.iter().map(|link| link.socket.local_addr().unwrap()).collect();
    for _ in 0..10 {
        other.send_to(b"noise", ports[0]).unwrap();
    }
    other.send_to(b"evidence", ports[1]).unwrap();
    let first = [heard(&mut links).await.3, heard(&mut links).await.3];
    assert!(first.contains(&b"evidence".to_vec()), "{first:?}");
}

#[test]
fn of_each_interface_the_first_address_of_a_family_is_used_and_loopback_only_if_named() {
    let all = || getifaddrs().unwrap();
    assert!(usable(all(), &[]).iter().all(|own| !own.address.ip().is_loopback()));
    let named = usable(all(), &["lo".into()]);
    assert_eq!(named[0], own("127.0.0.1:0"));
    assert!(named.iter().filter(|own| own.address.is_ipv4()).count() == 1);
}
