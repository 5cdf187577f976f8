//! What a node of a cluster says of itself and of the others: the reply to CLUSTER NODES.

use std::ops::RangeInclusive;

/// Slots of a cluster.
pub(crate) const SLOTS: u16 = 16384;

pub(super) use crate::upstream::Place;

/// A line of the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) id: String,
    /// `None`: whoever answers does not know.
    pub(super) place: Option<Place>,
    /// Whether it is the one that answers.
    pub(super) is_me: bool,
    pub(super) is_primary: bool,
    /// Its primary's id, of a replica.
    pub(super) primary: Option<String>,
    pub(super) epoch: u64,
    pub(super) slots: Vec<RangeInclusive<u16>>,
    /// Slots that it takes over, key by key; known of the one that answers alone.
    pub(super) importing: Vec<u16>,
}

/// The lines of a reply; what makes no sense is left out. `asked` stands for an address that the node does not know of
/// itself.
pub(super) fn parse(text: &str, asked: &Place) -> Vec<Node> {
    text.lines().filter_map(|line| node(line, asked)).collect()
}

fn node(line: &str, asked: &Place) -> Option<Node> {
    // <id> <ip:port@cport[,hostname[,aux=..]]> <flags> <primary> <ping> <pong> <epoch> <state> <slot> ..
    let mut words = line.split(' ');
    let (id, address, flags, primary) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let (epoch, _state) = (words.nth(2)?.parse::<u64>().ok()?, words.next()?);
    let has = |flag: &str| flags.split(',').any(|known| known == flag);
    let (mut slots, mut importing) = (Vec::new(), Vec::new());
    for word in words {
        if let Some(moving) = word.strip_prefix('[') {
            importing.extend(moving.split_once("-<-").and_then(|(slot, _)| slot.parse::<u16>().ok()));
        } else {
            slots.push(range(word)?);
        }
    }
    if has("handshake") {
        return None;
    }
    let is_me = has("myself");
    Some(Node {
        id: id.to_owned(),
        place: place(address, is_me, asked).filter(|_| !has("noaddr")),
        is_me,
        is_primary: has("master"),
        primary: Some(primary.to_owned()).filter(|id| id != "-"),
        // 0 is below every claim.
        epoch: epoch.max(1),
        slots,
        importing,
    })
}

fn place(address: &str, is_me: bool, asked: &Place) -> Option<Place> {
    let address = address.split(',').next()?;
    let (address, _) = address.split_once('@').unwrap_or((address, ""));
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0);
    match (host.is_empty(), port) {
        (false, Some(port)) => Some((host.to_owned(), port)),
        // It has not been told yet by the others under which address they see it.
        (true, port) if is_me => Some((asked.0.clone(), port.unwrap_or(asked.1))),
        _ => None,
    }
}

fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let slot = |text: &str| text.parse().ok().filter(|slot| *slot < SLOTS);
    let (first, last) = (slot(first)?, slot(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_versions_are_read() {
        let text = "\
07c3 127.0.0.1:30004@31004,host1,shard-id=ab slave e7d1 0 1426238317239 4 connected
67ed :30002@31002 myself,master - 0 1426238316232 2 connected 5461-10922 10923 [93-<-292f] [77->-e7d1]
292f 127.0.0.1:30003 master - 0 1426238318243 3 connected
6ec2 ::1:30005@31005 slave,fail 67ed 1 2 5 disconnected
aaaa :0@0 master,noaddr - 0 0 0 disconnected
bbbb 127.0.0.1:1@2 handshake - 0 0 0 connected
broken
";
        let nodes = parse(text, &("10.0.0.1".to_owned(), 7));
        assert_eq!(nodes.len(), 5);
        assert_eq!(nodes[0].place, Some(("127.0.0.1".to_owned(), 30004)));
        assert_eq!((nodes[0].primary.as_deref(), nodes[0].epoch), (Some("e7d1"), 4));
        assert_eq!(nodes[1].place, Some(("10.0.0.1".to_owned(), 30002)));
        assert!(nodes[1].is_me && nodes[1].is_primary && !nodes[0].is_primary);
        assert_eq!(
            (&nodes[1].slots[..], &nodes[1].importing[..]),
            (&[5461..=10922, 10923..=10923][..], &[93][..])
        );
        assert_eq!(nodes[2].slots, []);
        assert_eq!(nodes[3].place, Some(("::1".to_owned(), 30005)));
        assert_eq!(nodes[4].place, None);
    }
}
