//! Records as Kafka keeps them: the record batch of its message format, version 2
//! (<https://kafka.apache.org/documentation/#recordbatch>), uncompressed.

/// A record on its way.
#[derive(Debug)]
pub(super) struct Entry {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// A batch of them.
pub(super) fn batch(entries: &[Entry]) -> Vec<u8> {
    let first = entries.first().map_or(0, |entry| entry.at);
    let latest = entries.iter().map(|entry| entry.at).max().unwrap_or(first);
    let count = i32::try_from(entries.len()).unwrap_or(i32::MAX);
    let mut checked = Vec::new();
    checked.extend(0_i16.to_be_bytes()); // attributes
    checked.extend(count.saturating_sub(1).to_be_bytes()); // the last one's offset
    checked.extend(first.to_be_bytes());
    checked.extend(latest.to_be_bytes());
    checked.extend((-1_i64).to_be_bytes()); // no idempotent producer
    checked.extend((-1_i16).to_be_bytes());
    checked.extend((-1_i32).to_be_bytes());
    checked.extend(count.to_be_bytes());
    for (entry, offset) in entries.iter().zip(0_i64..) {
        let mut record = vec![0]; // attributes
        varint(&mut record, entry.at.saturating_sub(first));
        varint(&mut record, offset);
        for part in [&entry.key, &entry.value] {
            varint(&mut record, i64::try_from(part.len()).unwrap_or(i64::MAX));
            record.extend_from_slice(part);
        }
        varint(&mut record, 0); // headers
        varint(&mut checked, i64::try_from(record.len()).unwrap_or(i64::MAX));
        checked.append(&mut record);
    }
    let mut batch = 0_i64.to_be_bytes().to_vec(); // base offset
    let length = i32::try_from(checked.len().saturating_add(9)).unwrap_or(i32::MAX);
    batch.extend(length.to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // the leader's epoch
    batch.push(2); // magic
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.append(&mut checked);
    batch
}

/// Zigzag and seven bits a byte.
fn varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let digit = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        to.push(if rest > 0 { digit | 0x80 } else { digit });
        if rest == 0 {
            return;
        }
    }
}

/// CRC-32C (RFC 3720, appendix B.4), bit by bit: a batch is some hundred kilobytes at most.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn numbers_are_zigzagged() {
        for (value, bytes) in
            [(0, &b"\0"[..]), (-1, b"\x01"), (1, b"\x02"), (64, b"\x80\x01"), (300, b"\xd8\x04")]
        {
            let mut to = Vec::new();
            varint(&mut to, value);
            assert_eq!(to, bytes, "{value}");
        }
        let mut to = Vec::new();
        varint(&mut to, i64::MIN);
        assert_eq!(to.len(), 10);
    }
}
