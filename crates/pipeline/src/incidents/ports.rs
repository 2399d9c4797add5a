//! Which of our ports were touched: few in a list, many as bits.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Ports in a list, before it is turned into bits.
const LISTED: usize = 256;
/// Bytes for a bit of each port.
const BYTES: usize = 8192;

/// A set of ports: at most 8 KiB, whatever is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// In order.
    Few(Vec<u16>),
    /// A bit for each.
    Many {
        /// The lowest bit of the first byte is port 0.
        bits: Box<[u8]>,
        /// How many are set.
        count: u32,
    },
}

impl Default for Ports {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Ports {
    /// Adds one.
    pub fn add(&mut self, port: u16) {
        match self {
            Self::Few(ports) => {
                let Err(place) = ports.binary_search(&port) else { return };
                if ports.len() < LISTED {
                    ports.insert(place, port);
                    return;
                }
                let mut many = Self::Many { bits: vec![0; BYTES].into(), count: 0 };
                ports.iter().for_each(|port| many.add(*port));
                many.add(port);
                *self = many;
            }
            Self::Many { bits, count } => {
                let bit = 1_u8 << (port & 7);
                if let Some(byte) = bits.get_mut(usize::from(port >> 3))
                    && *byte & bit == 0
                {
                    *byte |= bit;
                    *count = count.saturating_add(1);
                }
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Few(ports) => u64::try_from(ports.len()).unwrap_or(u64::MAX),
            Self::Many { count, .. } => u64::from(*count),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Few(Vec<u16>),
    Many(String),
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Few(ports) => ports.serialize(serializer),
            Self::Many { bits, .. } => BASE64_STANDARD_NO_PAD.encode(bits).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut ports = Self::default();
        match Written::deserialize(deserializer)? {
            Written::Few(few) => few.into_iter().for_each(|port| ports.add(port)),
            Written::Many(text) => {
                let mut bits = BASE64_STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
                bits.resize(BYTES, 0);
                let count = bits.iter().map(|byte| byte.count_ones()).sum();
                ports = Self::Many { bits: bits.into(), count };
            }
        }
        Ok(ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_counted_once_and_survives_being_written() {
        let mut ports = Ports::default();
        for port in (0..=u16::MAX).rev().step_by(7) {
            ports.add(port);
            ports.add(port);
        }
        assert_eq!(ports.count(), 65_536 / 7 + 1);
        let text = serde_json::to_string(&ports).unwrap();
        assert!(text.len() < 11_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Ports>(&text).unwrap(), ports);
        let few = Ports::Few(vec![22, 80]);
        assert_eq!(serde_json::from_str::<Ports>(&serde_json::to_string(&few).unwrap()).unwrap(), few);
    }
}
