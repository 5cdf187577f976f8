//! `ListpackBuf` and the ten obvious lines: a vector of byte strings. Property tests and fuzzing share this.

use rdb::encoding::{Item, Listpack, ListpackBuf, encoded_size, grammar, parse_canonical_i64};

/// What to do, where, and with what: all values mean something.
pub(crate) type Op = (u8, u16, Element);
/// Kind, number, bytes.
pub(crate) type Element = (u8, i64, Vec<u8>);

/// Short byte strings, integers of every width, and lengths around every bound of the format.
pub(crate) fn element((kind, number, bytes): &Element) -> Vec<u8> {
    const BOUNDS: [usize; 12] = [0, 62, 63, 64, 125, 126, 127, 4094, 4095, 4096, 16_378, 16_379];
    match kind % 4 {
        0 => bytes.clone(),
        1 => number.to_string().into_bytes(),
        2 => (number >> (number.unsigned_abs() % 64)).to_string().into_bytes(),
        _ => vec![*kind; BOUNDS[number.unsigned_abs() as usize % BOUNDS.len()]],
    }
}

/// Applies each operation to both sides and compares all that can be seen.
pub(crate) fn run(ops: &[Op]) {
    let mut list = ListpackBuf::new();
    let mut model: Vec<Vec<u8>> = Vec::new();
    for (kind, place, spec) in ops {
        let element = element(spec);
        let index = usize::from(*place) % (model.len() + 1);
        let pos = list.as_listpack().seek(index as i64).unwrap_or_else(|| list.as_listpack().end());
        match kind % 8 {
            0 | 1 => {
                list.push(&element).unwrap();
                model.push(element);
            }
            2 => {
                list.insert(pos, &element).unwrap();
                model.insert(index, element);
            }
            3 => {
                list.replace(pos, &element).unwrap();
                if let Some(place) = model.get_mut(index) {
                    *place = element;
                }
            }
            4 => {
                list.remove(pos);
                if index < model.len() {
                    model.remove(index);
                }
            }
            5 => {
                let n = usize::from(spec.0 % 8);
                let removed = list.remove_range(pos, n);
                assert_eq!(removed, model.drain(index..(index + n).min(model.len())).len());
            }
            6 => {
                list.push_int(spec.1).unwrap();
                model.push(spec.1.to_string().into_bytes());
            }
            _ => {
                list.replace_int(pos, spec.1).unwrap();
                if let Some(place) = model.get_mut(index) {
                    *place = spec.1.to_string().into_bytes();
                }
            }
        }
        compare(&list, &model, spec.0);
    }
    list.shrink();
    compare(&list, &model, 0);
}

fn compare(list: &ListpackBuf, model: &[Vec<u8>], skip: u8) {
    let bytes = list.as_bytes();
    let view = Listpack::new(bytes).unwrap();
    assert_eq!(view.len(), model.len());
    assert!(view.iter().map(|item| item.to_vec()).eq(model.iter().cloned()));
    assert!(view.iter().rev().map(|item| item.to_vec()).eq(model.iter().rev().cloned()));
    assert_eq!(grammar::listpack(bytes).unwrap(), view.iter().collect::<Vec<_>>());
    // The layout follows from the elements, not from the way there.
    assert_eq!(bytes.len(), 7 + model.iter().map(|element| encoded_size(element)).sum::<usize>());
    for (item, element) in view.iter().zip(model) {
        assert_eq!(matches!(item, Item::Int(_)), parse_canonical_i64(element).is_some());
        assert!(item.eq_bytes(element));
        assert_eq!(item.len(), element.len());
    }
    let len = model.len() as i64;
    for index in [-len - 1, -len, -1, 0, len / 2, len / 2 + 1, len - 1, len] {
        let at = if index < 0 { index + len } else { index };
        let expected = usize::try_from(at).ok().and_then(|at| model.get(at));
        assert_eq!(view.get(index).map(|item| item.to_vec()).as_ref(), expected, "{index} of {len}");
    }
    let skip = usize::from(skip % 3);
    if let Some(needle) = model.get(model.len() / 2) {
        let expected = model.iter().step_by(skip + 1).position(|element| element == needle);
        let found = view.find(needle, skip);
        assert_eq!(found, expected.map(|index| view.seek((index * (skip + 1)) as i64).unwrap()));
    }
    // Walking by places is iterating.
    let mut at = view.first();
    for (pos, item) in view.iter_with_pos() {
        assert_eq!((at, view.at(pos)), (Some(pos), Some(item)));
        at = view.next(pos);
    }
    assert_eq!(at, None);
}
