use encrytrust_protocol::{Column, ColumnKind};

use super::*;

fn terms() -> Terms {
    Terms {
        dataset: [1; 32].into(),
        location: Location::Csv("/people.csv".into()),
        id_columns: vec!["id".into()],
        scheme: TagScheme::Voprf,
        description: Description {
            title: "t".into(),
            columns: vec![Column { name: "c".into(), kind: ColumnKind::Text }],
            text: String::new(),
        },
        price: 5,
        endpoint: None,
        valid: Validity { from: 1, until: 2 },
    }
}

fn sent(id: u8, supersedes: Option<u8>) -> Sent {
    let row = vec![Zeroizing::new("42".to_owned())];
    let old = supersedes.map(|n| OfferId::from([n; 32]));
    let mut sent = Sent::new(0, [9; 32].into(), &row, [id; 32].into(), [7; 32].into(), old);
    sent.id = [id; 32].into();
    sent
}

fn id(n: u8) -> OfferId {
    OfferId::from([n; 32])
}

#[test]
fn an_offer_is_sent_settled_superseded_withdrawn() {
    let mut book = OfferBook::default();
    let (dataset, tag) = (Bytes32::from([1; 32]), SubjectTag::from([9; 32]));
    book.apply(OfferEvent::Terms(terms()));
    book.apply(OfferEvent::Sent(sent(1, None)));
    assert!(book.current(&dataset, &tag).is_none());
    assert!(book.offer(&id(1)).is_some(), "the index may have it before we hear of it");
    assert_eq!(book.pending().len(), 1);

    book.apply(OfferEvent::Settled { id: id(1), index: 0 });
    assert_eq!(book.current(&dataset, &tag).unwrap().id, id(1));
    assert!(book.pending().is_empty());

    book.apply(OfferEvent::Sent(sent(2, Some(1))));
    assert_eq!(book.current(&dataset, &tag).unwrap().id, id(1));
    book.apply(OfferEvent::Settled { id: id(2), index: 1 });
    assert_eq!(book.current(&dataset, &tag).unwrap().id, id(2));
    assert!(book.has_ended(&id(1)) && book.offer(&id(1)).is_none());

    book.apply(OfferEvent::Sent(sent(3, Some(2))));
    book.apply(OfferEvent::Refused { id: id(3) });
    assert_eq!(book.current(&dataset, &tag).unwrap().id, id(2));

    let subject = Subject { scheme: TagScheme::Voprf, tag };
    let mut ended = Ended::new(subject, id(2), [7; 32].into(), 5);
    ended.id = id(4);
    book.apply(OfferEvent::Ended(ended));
    book.apply(OfferEvent::Settled { id: id(4), index: 2 });
    assert!(book.current(&dataset, &tag).is_none() && book.has_ended(&id(2)));
    assert_eq!(book.dataset(&dataset).count(), 0);
}

#[test]
fn events_are_written_and_read() {
    for event in [
        OfferEvent::Terms(terms()),
        OfferEvent::Sent(sent(1, Some(2))),
        OfferEvent::Settled { id: id(1), index: 77 },
    ] {
        let bytes = encrytrust_protocol::encode(&event);
        let read: OfferEvent = minicbor::decode(&bytes).unwrap();
        assert_eq!(encrytrust_protocol::encode(&read), bytes);
    }
}
