use proptest::prelude::*;

use super::*;

fn limits(size: i64) -> Limits {
    let limits = Limits::default();
    limits.set("list-max-listpack-size", size);
    limits
}

fn all(list: &List) -> Vec<Vec<u8>> {
    list.iter().map(|item| item.to_vec()).collect()
}

#[test]
fn a_list_takes_24_bytes_beside_its_contents() {
    assert_eq!(size_of::<List>(), 24);
    assert_eq!(List::default().allocated(), 0);
}

#[test]
fn nodes_keep_to_their_size_and_a_large_element_stands_alone() {
    let limits = limits(-1);
    let mut list = List::default();
    for _ in 0..1000 {
        list.push_back(&[b'x'; 100], &limits);
    }
    list.push_back(&[b'y'; 5000], &limits);
    list.push_back(b"z", &limits);
    let Repr::Nodes(nodes) = &list.0 else { panic!("one node of 100 KB") };
    assert!(
        nodes
            .iter()
            .all(|node| matches!(node, Node::Packed(l, _) if l.bytes_len() <= 4096) || node.heap() == 5000)
    );
    assert_eq!(nodes.iter().filter(|node| matches!(node, Node::Plain(_))).count(), 1);
    assert_eq!(list.get(-2).unwrap().len(), 5000);
    assert_eq!(list.get(-1).unwrap(), Item::Str(b"z"));
}

#[test]
fn nodes_come_from_a_dump_as_they_are() {
    let limits = limits(-2);
    let (mut node, mut list) = (ListpackBuf::new(), List::default());
    list.push_node(node.as_listpack());
    assert!(list.is_empty());
    node.push(b"a").unwrap();
    node.push(b"12").unwrap();
    list.push_node(node.as_listpack());
    assert!(matches!(list.0, Repr::Packed(_)));
    list.push_plain(&[7; 10_000]);
    list.push_node(node.as_listpack());
    list.push_back(b"b", &limits);
    assert_eq!(list.len(), 6);
    assert_eq!(list.get(2).unwrap().len(), 10_000);
    assert_eq!(list.iter().rev().map(|item| item.len()).collect::<Vec<_>>(), [1, 2, 1, 10_000, 2, 1]);
}

#[derive(Debug, Clone)]
enum Op {
    Push(bool, u8),
    Pop(bool),
    Set(i64, u8),
    Insert(usize, u8),
    RemoveRange(usize, usize),
    Remove(u8, bool, usize),
}

fn text(n: u8) -> Vec<u8> {
    match n % 8 {
        0 => i64::from(n).to_string().into_bytes(),
        1 => vec![b'l'; 9000],
        2 => vec![b'm'; 600],
        _ => vec![b'a' + n % 5; usize::from(n % 11)],
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (any::<bool>(), any::<u8>()).prop_map(|(l, n)| Op::Push(l, n)),
        2 => any::<bool>().prop_map(Op::Pop),
        2 => (-30..30_i64, any::<u8>()).prop_map(|(i, n)| Op::Set(i, n)),
        3 => (0..40_usize, any::<u8>()).prop_map(|(i, n)| Op::Insert(i, n)),
        1 => (0..40_usize, 0..12_usize).prop_map(|(i, n)| Op::RemoveRange(i, n)),
        2 => (any::<u8>(), any::<bool>(), 1..4_usize).prop_map(|(n, l, most)| Op::Remove(n, l, most)),
    ];
    proptest::collection::vec(op, 0..150)
}

fn end(left: bool) -> End {
    if left { End::Left } else { End::Right }
}

proptest! {
    #[test]
    fn a_list_agrees_with_a_plain_deque(ops in ops(), size in prop_oneof![Just(-2_i64), Just(-1), Just(0), 1..8_i64]) {
        let limits = limits(size);
        let mut list = List::default();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for op in ops {
            match op {
                Op::Push(left, n) => {
                    list.push(end(left), &text(n), &limits);
                    let at = if left { 0 } else { model.len() };
                    model.insert(at, text(n));
                }
                Op::Pop(left) => {
                    let expected = match (model.is_empty(), left) {
                        (true, _) => None,
                        (_, true) => Some(model.remove(0)),
                        (_, false) => model.pop(),
                    };
                    prop_assert_eq!(list.pop(end(left), |item| item.to_vec()), expected);
                }
                Op::Set(i, n) => {
                    let at = place(i, model.len());
                    prop_assert_eq!(list.set(i, &text(n), &limits), at.is_some());
                    if let Some(at) = at {
                        model[at] = text(n);
                    }
                }
                Op::Insert(i, n) => {
                    if let Some(pivot) = place(i as i64, model.len()) {
                        let right = n % 2 == 0;
                        list.insert(pivot, end(!right), &text(n), &limits);
                        model.insert(pivot + usize::from(right), text(n));
                    }
                }
                Op::RemoveRange(i, n) => {
                    list.remove_range(i, n);
                    let i = i.min(model.len());
                    model.drain(i..(i + n).min(model.len()));
                }
                Op::Remove(n, left, most) => {
                    let mut places: Vec<usize> = (0..model.len()).filter(|i| model[*i] == text(n)).collect();
                    if !left {
                        places.reverse();
                    }
                    places.truncate(most);
                    prop_assert_eq!(list.remove(&text(n), end(left), most), places.len());
                    places.sort_unstable();
                    places.iter().rev().for_each(|i| drop(model.remove(*i)));
                }
            }
            prop_assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!(&all(&list), &model);
            let middle = model.len() / 2;
            prop_assert_eq!(list.iter_from(middle).map(|i| i.to_vec()).collect::<Vec<_>>(), &model[middle..]);
            prop_assert!(list.iter().rev().map(|i| i.to_vec()).eq(model.iter().rev().cloned()));
            if let Some(index) = model.len().checked_sub(3) {
                prop_assert_eq!(list.get(index as i64).map(|i| i.to_vec()), Some(model[index].clone()));
            }
            if let Repr::Nodes(nodes) = &list.0 {
                let heap: usize = nodes.iter().map(Node::heap).sum();
                prop_assert!(nodes.allocated() >= heap && nodes.iter().all(|node| node.len() > 0));
                prop_assert_eq!(nodes.iter().map(Node::len).sum::<usize>(), nodes.len());
            }
        }
    }
}
