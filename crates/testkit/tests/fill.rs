//! The data set that the kit makes, on the real servers.

use std::collections::BTreeSet;

use testkit::{Client, Server, differences, fill_every_type};

fn keys_in_all_databases(client: &mut Client) -> usize {
    let mut total = 0;
    for db in 0..16 {
        client.call(&["SELECT", &db.to_string()]).ok();
        total += usize::try_from(client.call(&["DBSIZE"]).int()).expect("a count");
    }
    client.call(&["SELECT", "0"]).ok();
    total
}

fn encodings(client: &mut Client) -> BTreeSet<String> {
    let keys = client.call(&["KEYS", "*"]).strings();
    let ask = |words: [&str; 2]| -> Vec<Vec<Vec<u8>>> {
        let words: Vec<Vec<u8>> =
            words.iter().filter(|w| !w.is_empty()).map(|w| w.as_bytes().to_vec()).collect();
        keys.iter().map(|key| words.iter().cloned().chain([key.clone()]).collect()).collect()
    };
    let kinds = client.pipeline(&ask(["TYPE", ""]));
    let found = client.pipeline(&ask(["OBJECT", "ENCODING"]));
    kinds.iter().zip(found).map(|(kind, encoding)| format!("{} {}", kind.text(), encoding.text())).collect()
}

#[test]
fn every_server_takes_the_data_set_and_counts_as_many_keys() {
    for server in Server::ALL {
        let running = server.start();
        let mut client = running.client();
        let count = fill_every_type(&mut client, 1, 5_000);
        assert_eq!(count, 5_000);
        assert_eq!(keys_in_all_databases(&mut client), count, "{server:?}");
        let expected = match server {
            Server::R6_0 | Server::R6_2 => {
                "hash ziplist,hash hashtable,list quicklist,set hashtable,set intset,stream \
                                            stream,string embstr,string int,string raw,zset skiplist,zset ziplist"
            }
            Server::R7_0 => {
                "hash hashtable,hash listpack,list quicklist,set hashtable,set intset,stream stream,\
                             string embstr,string int,string raw,zset listpack,zset skiplist"
            }
            Server::R8_2 => {
                "hash hashtable,hash listpack,hash listpackex,list listpack,list quicklist,set hashtable,\
                             set intset,set listpack,stream stream,string embstr,string int,string raw,\
                             zset listpack,zset skiplist"
            }
            Server::V8_1 | Server::V9_1 => {
                "hash hashtable,hash listpack,list listpack,list quicklist,set hashtable,set intset,\
                                            set listpack,stream stream,string embstr,string int,string raw,zset listpack,zset skiplist"
            }
        };
        let expected: BTreeSet<String> = expected.split(',').map(str::to_owned).collect();
        assert_eq!(encodings(&mut client), expected, "{server:?}");
        let libraries = client.call(&["FUNCTION", "LIST"]);
        assert_eq!(libraries.as_array().map(<[_]>::len), server.is_7_or_later().then_some(2));
    }
}

#[test]
fn one_seed_makes_one_data_set_and_another_seed_another() {
    let (one, two, three) = (Server::R7_0.start(), Server::R7_0.start(), Server::R7_0.start());
    fill_every_type(&mut one.client(), 7, 2_000);
    fill_every_type(&mut two.client(), 7, 2_000);
    fill_every_type(&mut three.client(), 8, 2_000);
    // Times of delivery to consumers are the clock's.
    let mut unlike = differences(&mut one.client(), &mut two.client());
    unlike.retain(|difference| difference.what != "groups");
    assert_eq!(unlike, []);
    assert!(differences(&mut one.client(), &mut three.client()).len() > 1_000);
}
