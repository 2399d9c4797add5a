//! `haldane check`: is the configuration right, can it run here, and how are the sinks?

use std::process::ExitCode;

use clap::Args;
use haldane_core::{Feed, Problem, peer::Transport};

use super::{Place, complain, say, wrong_configuration};
use crate::{
    config::{ActionConfig, Config, ServiceConfig, action::Set},
    daemon::actions::gate,
};

/// Its options.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    place: Place,
    /// Show how each sink is, and what its receiver refused for good.
    #[arg(long)]
    sinks: bool,
}

impl Check {
    pub(super) fn run(self) -> ExitCode {
        let config = match Config::load(&self.place.source(), &self.place.looking()) {
            Ok(config) => config,
            Err(problems) => return wrong_configuration(&problems),
        };
        config.warnings.iter().for_each(complain);
        config.services.iter().filter_map(low_ports).for_each(complain);
        config.services.iter().filter_map(packets).for_each(complain);
        config.actions.iter().filter_map(blocking).for_each(complain);
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            number => format!("{number} {what}s"),
        };
        let (services, sinks) = (count(config.services.len(), "service"), count(config.sinks.len(), "sink"));
        let actions = match config.actions.len() {
            0 => String::new(),
            number => format!(", {}", count(number, "action")),
        };
        let said = say(format!("{}: configuration is good: {services}, {sinks}{actions}", config.origin));
        match self.sinks {
            true => super::events::sinks(&config),
            false => said,
        }
    }
}

/// A remark about ports that this user may not bind.
fn low_ports(service: &ServiceConfig) -> Option<Problem> {
    let allowed = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_BIND_SERVICE);
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first: u16 = first.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024);
    let low = service.endpoints.iter().find(|endpoint| endpoint.address.port() < first)?;
    if allowed.unwrap_or(false) {
        return None;
    }
    let place = service.table.get("port").map(|item| item.node.place.clone());
    let key = match service.table.get("port") {
        Some(item) => item.written.clone(),
        None => format!("{}.port", service.table.name),
    };
    let transport = if low.transport == Transport::Udp { "UDP" } else { "TCP" };
    let message = format!(
        "{transport} port {} needs root (or CAP_NET_BIND_SERVICE), which this user is not",
        low.address.port()
    );
    Some(Problem::warning(place, key, message))
}

/// A remark about a set that this user may not add to, or has no program for.
fn blocking(action: &ActionConfig) -> Option<Problem> {
    let program = match action.act.set()? {
        Set::Nftables { .. } => "nft",
        Set::Ipset(_) => "ipset",
    };
    let allowed = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN);
    let message = if !gate::installed(program) {
        format!("{program} is not installed: nothing can be blocked")
    } else if !allowed.unwrap_or(false) {
        "nothing can be blocked without root (or CAP_NET_ADMIN), which this user is not".to_owned()
    } else {
        return None;
    };
    Some(Problem::warning(None, format!("action {}", action.name), message))
}

/// A remark about packets that this user may not look at.
fn packets(service: &ServiceConfig) -> Option<Problem> {
    let wanted =
        service.service.sensor.as_ref().is_some_and(|sensor| sensor.feeds().contains(&Feed::Packets));
    let allowed = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_RAW);
    if !wanted || allowed.unwrap_or(false) {
        return None;
    }
    let message = "packets cannot be looked at without root (or CAP_NET_RAW), which this user is not";
    Some(Problem::warning(None, format!("{}.packets", service.table.name), message))
}
