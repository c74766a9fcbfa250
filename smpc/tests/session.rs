//! Sessions: right answers at n = 3, 4, 5, 7, 10, in any order of delivery, and an error that names
//! whoever misbehaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::VecDeque, sync::Arc};

use encrytrust_smpc::{
    Committee, Party,
    field::{Field, Mersenne61, Mersenne127, Ristretto},
    prg::{Prg, Seed},
    protocols::{Column, Plan, PlanError},
    session::{Effect, Event, Session, SessionError, StartError},
};
use proptest::prelude::*;
use zeroize::Zeroizing;

const ID: [u8; 32] = [11; 32];

/// What happens to a message on its way: passed on, changed, dropped, doubled.
type Adversary<'a> = dyn FnMut(Party, Party, Vec<u8>) -> Vec<Vec<u8>> + 'a;

/// How each party's session ended: its openings and transcript, or its error.
type Ending<F> = Result<(Vec<(Column, Vec<F>)>, [u8; 32]), SessionError>;

fn honest(_: Party, _: Party, bytes: Vec<u8>) -> Vec<Vec<u8>> {
    vec![bytes]
}

/// All parties in one thread; messages are delivered in a seeded random order, and when none is
/// on its way, time runs out for whoever still waits. Thousands of `order` seed the parties.
fn run<F: Field>(
    plan: &Plan<F>,
    private: &[Vec<Vec<F>>],
    order: u64,
    adversary: &mut Adversary<'_>,
) -> Vec<Ending<F>> {
    let committee = plan.committee();
    let plan = Arc::new(plan.clone());
    let mut sessions = Vec::new();
    let mut wire = VecDeque::new();
    let mut openings = vec![Vec::new(); private.len()];
    let mut endings = vec![None; private.len()];
    let mut perform = |me: Party, effects: Vec<Effect<F>>, wire: &mut VecDeque<_>| {
        for effect in effects {
            match effect {
                Effect::Send { to, bytes } => {
                    let passed = adversary(me, to, bytes.to_vec());
                    wire.extend(passed.into_iter().map(|bytes| (me, to, bytes)));
                }
                Effect::Opened { opening, values } => openings[me.index()].push((opening, values)),
                Effect::Done { transcript } => {
                    let opened = std::mem::take(&mut openings[me.index()]);
                    endings[me.index()] = Some(Ok((opened, transcript)));
                }
                Effect::Failed(error) => endings[me.index()] = Some(Err(error)),
            }
        }
    };
    for me in committee.iter() {
        let seed = Seed::from_bytes([42; 32]).derive("run", order / 1000);
        let seed = seed.derive("party", me.number().into());
        let private = private[me.index()].clone();
        let (session, effects) = Session::start(ID, me, Arc::clone(&plan), private, &seed).unwrap();
        sessions.push(session);
        perform(me, effects, &mut wire);
    }
    let mut prg = Seed::from_bytes([1; 32]).derive("order", order).prg();
    loop {
        while !wire.is_empty() {
            let next = u64::from_le_bytes(prg.bytes()) as usize % wire.len();
            let (from, to, bytes) = wire.swap_remove_back(next).unwrap();
            let event = Event::Message { from, bytes: Zeroizing::new(bytes) };
            perform(to, sessions[to.index()].handle(event), &mut wire);
        }
        // Deadlines run from the beginning of a step: the earliest is over first.
        let waiting = committee.iter().filter(|me| !sessions[me.index()].ended());
        let Some(me) = waiting.min_by_key(|me| sessions[me.index()].step()) else { break };
        perform(me, sessions[me.index()].handle(Event::Deadline), &mut wire);
        assert!(sessions[me.index()].handle(Event::Deadline).is_empty());
    }
    endings.into_iter().map(Option::unwrap).collect()
}

fn party(number: u16) -> Party {
    Party::new(number).unwrap()
}

/// Two inputs, all protocols, five openings; with the values they must give.
fn everything<F: Field>(committee: Committee, seed: u64, len: usize) -> Scenario<F> {
    let mut prg = Seed::from_bytes([2; 32]).derive("values", seed).prg();
    let mut column = || {
        let mut column = vec![F::ZERO; len];
        prg.elements(&mut column);
        column
    };
    let (a, b, public) = (column(), column(), column());
    let factor = F::from_i64(-5);
    let (first, last) = (party(1), party(committee.parties()));
    let mut plan = Plan::new(committee);
    let ca = plan.input(first, len).unwrap();
    let cb = plan.input(last, len).unwrap();
    let product = plan.mul(ca, cb).unwrap();
    let cube = plan.mul(product, cb).unwrap();
    let difference = plan.sub(cube, ca).unwrap();
    let scaled = plan.scale(difference, factor).unwrap();
    let shifted = plan.add_public(scaled, public.clone()).unwrap();
    let weighted = plan.mul_public(shifted, public.clone()).unwrap();
    let total = plan.add(weighted, product).unwrap();
    let sum = plan.sum(total).unwrap();
    let inner = plan.inner_product(product, total).unwrap();
    let opened = [
        plan.open(total, None).unwrap(),
        plan.open(sum, Some(last)).unwrap(),
        plan.open(inner, None).unwrap(),
        plan.open(ca, Some(first)).unwrap(),
    ];
    let products: Vec<F> = a.iter().zip(&b).map(|(a, b)| *a * *b).collect();
    let totals: Vec<F> = (0..len)
        .map(|i| {
            let cube = products[i] * b[i];
            ((cube - a[i]) * factor + public[i]) * public[i] + products[i]
        })
        .collect();
    let expected = vec![
        (opened[0], None, totals.clone()),
        (opened[1], Some(last), vec![F::sum(&totals)]),
        (opened[2], None, vec![F::inner_product(&products, &totals)]),
        (opened[3], Some(first), a.clone()),
    ];
    let mut private = vec![Vec::new(); committee.parties().into()];
    private[first.index()].push(a);
    private[last.index()].push(b);
    Scenario { plan, private, expected }
}

struct Scenario<F> {
    plan: Plan<F>,
    private: Vec<Vec<Vec<F>>>,
    expected: Vec<(Column, Option<Party>, Vec<F>)>,
}

fn right_answers<F: Field>(n: u16, degree: u16, seed: u64, len: usize) {
    let committee = Committee::new(n, degree).unwrap();
    let scenario = everything::<F>(committee, seed, len);
    let endings = run(&scenario.plan, &scenario.private, seed, &mut honest);
    for (me, ending) in committee.iter().zip(endings) {
        let mine = scenario.expected.iter().filter(|(_, to, _)| to.is_none_or(|to| to == me));
        let mine: Vec<_> = mine.map(|(c, _, values)| (*c, values.clone())).collect();
        assert_eq!(ending.unwrap().0, mine, "{me} of {committee}");
    }
}

const COMMITTEES: [(u16, u16); 8] =
    [(1, 0), (3, 0), (3, 1), (4, 1), (5, 2), (7, 2), (7, 3), (10, 3)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_protocol_in_any_order_of_delivery(seed: u64, len in 0_usize..20) {
        for (n, degree) in COMMITTEES {
            right_answers::<Mersenne61>(n, degree, seed, len);
            right_answers::<Mersenne127>(n, degree, seed, len);
            right_answers::<Ristretto>(n, degree, seed, len.min(3));
        }
    }

    /// Whatever one party's messages are turned into, the others end; who fails names that party,
    /// or failed because of who failed before it.
    #[test]
    fn garbage_ends_with_a_name(at in 0_usize..30, byte: u16, flip in 1_u8.., cut: bool, seed: u64) {
        let committee = Committee::new(5, 2).unwrap();
        let scenario = everything::<Mersenne61>(committee, seed, 4);
        let mut count = 0;
        let mut garbage = |from: Party, _: Party, mut bytes: Vec<u8>| {
            if from == party(2) {
                count += 1;
                if count == at + 1 {
                    let place = usize::from(byte) % bytes.len();
                    bytes[place] ^= flip;
                    if cut {
                        bytes.truncate(place);
                    }
                }
            }
            vec![bytes]
        };
        let endings = run(&scenario.plan, &scenario.private, seed, &mut garbage);
        // An opening's shares are wrong at whoever was lied to before; and the bytes that change
        // may be those of an accusation.
        let opening = |e: &SessionError| {
            matches!(e, SessionError::Lied { .. } | SessionError::Opening { .. })
        };
        let failed: Vec<_> = endings.iter().filter_map(|e| e.as_ref().err()).collect();
        if !failed.iter().any(|e| opening(e)) {
            for error in failed.iter().filter(|e| !matches!(e, SessionError::Aborted { .. })) {
                prop_assert_eq!(error.culprits(), [party(2)], "{}", error);
            }
        }
    }
}

/// Sin: says nothing, from some message on.
#[test]
fn a_silent_party_is_named() {
    for (n, degree) in [(3, 1), (4, 1), (5, 2), (7, 3)] {
        let committee = Committee::new(n, degree).unwrap();
        let scenario = everything::<Mersenne61>(committee, 7, 3);
        for sinner in committee.iter() {
            for after in [0, 1, usize::from(n), 2 * usize::from(n)] {
                let mut said = 0;
                let mut silent = |from: Party, _: Party, bytes: Vec<u8>| {
                    said += usize::from(from == sinner);
                    if from == sinner && said > after { vec![] } else { vec![bytes] }
                };
                let endings = run(&scenario.plan, &scenario.private, 3, &mut silent);
                let errors: Vec<_> = endings.iter().filter_map(|e| e.as_ref().err()).collect();
                assert!(after > 0 || errors.len() == usize::from(n));
                for error in errors {
                    assert_eq!(error.culprits(), [sinner], "{error}");
                }
            }
        }
    }
}

/// Runs "open the sum of one input" with n = 4, d = 1, party 2 misbehaving toward everybody in
/// the opening, which is step 3 (0 the seeds, 1 the input, 2 the sum).
fn misbehave_in_opening(change: impl Fn(Vec<u8>) -> Vec<Vec<u8>>) -> Vec<Ending<Mersenne61>> {
    let committee = Committee::new(4, 1).unwrap();
    let mut plan = Plan::new(committee);
    let input = plan.input(party(1), 3).unwrap();
    let sum = plan.sum(input).unwrap();
    plan.open(sum, None).unwrap();
    let private = vec![vec![vec![Mersenne61::ONE; 3]], vec![], vec![], vec![]];
    let mut adversary = |from: Party, _: Party, bytes: Vec<u8>| {
        let opening = bytes[32..36] == [0, 0, 0, 3];
        if from == party(2) && opening { change(bytes) } else { vec![bytes] }
    };
    run(&plan, &private, 5, &mut adversary)
}

/// Somebody found out by itself, and said what; everybody who failed names the sinner.
fn sinner_is_named(endings: &[Ending<Mersenne61>], expected: impl Fn(&SessionError) -> bool) {
    let errors: Vec<_> = endings.iter().filter_map(|e| e.as_ref().err()).collect();
    assert!(errors.iter().all(|e| e.culprits() == [party(2)]), "{errors:?}");
    let aborted = |e: &SessionError| matches!(e, SessionError::Aborted { .. });
    assert!(errors.iter().any(|e| expected(e)), "{errors:?}");
    assert!(errors.iter().all(|e| expected(e) || aborted(e)), "{errors:?}");
}

/// Sins in an opening: a wrong share, no element, too many, another session's, and twice.
#[test]
fn misbehaviour_is_named() {
    let party = party(2);
    let wrong = misbehave_in_opening(|mut bytes| {
        bytes[36] ^= 1;
        vec![bytes]
    });
    sinner_is_named(&wrong, |e| *e == SessionError::Lied { parties: vec![party], step: 3 });

    let garbage = misbehave_in_opening(|mut bytes| {
        bytes[36..].fill(0xff);
        vec![bytes]
    });
    sinner_is_named(&garbage, |e| matches!(e, SessionError::Garbage { step: 3, .. }));

    let long = misbehave_in_opening(|mut bytes| {
        bytes.push(0);
        vec![bytes]
    });
    let error = SessionError::Length { party, step: 3, have: 45, want: 44 };
    sinner_is_named(&long, |e| *e == error);
    assert_eq!(error.to_string(), "party 2 sent 45 bytes for step 3, 44 were expected");

    let foreign = misbehave_in_opening(|mut bytes| {
        bytes[0] ^= 1;
        vec![bytes]
    });
    sinner_is_named(&foreign, |e| *e == SessionError::Foreign { party });

    let early = misbehave_in_opening(|mut bytes| {
        bytes[35] = 2;
        vec![bytes]
    });
    sinner_is_named(&early, |e| *e == SessionError::Unexpected { party, step: 2 });

    let later = misbehave_in_opening(|mut bytes| {
        bytes[32] = 0xff;
        vec![bytes]
    });
    sinner_is_named(&later, |e| matches!(e, SessionError::Unexpected { .. }));

    // Refused while the first one waits; who is done by then has its answer.
    let twice = misbehave_in_opening(|bytes| vec![bytes.clone(), bytes]);
    sinner_is_named(&twice, |e| *e == SessionError::Repeated { party, step: 3 });
}

/// The wire carries nothing that repeats when the same inputs are computed on again.
#[test]
fn traffic_on_equal_inputs_differs() {
    let committee = Committee::new(3, 1).unwrap();
    let scenario = everything::<Mersenne61>(committee, 1, 8);
    let traffic = |order| {
        let mut sent = std::collections::BTreeMap::new();
        let mut tap = |from: Party, to: Party, bytes: Vec<u8>| {
            sent.insert((from, to, bytes[32..36].to_vec()), bytes[36..].to_vec());
            vec![bytes]
        };
        let endings = run(&scenario.plan, &scenario.private, order, &mut tap);
        assert!(endings.iter().all(Result::is_ok));
        sent
    };
    let (first, second) = (traffic(0), traffic(1000));
    assert_eq!(traffic(0), first);
    assert!(first.keys().eq(second.keys()));
    for (first, second) in first.values().zip(second.values()) {
        for (first, second) in first.chunks(8).zip(second.chunks(8)) {
            assert_ne!(first, second);
        }
    }
}

/// The transcript is the same for the same messages, in whatever order they came.
#[test]
fn transcripts_do_not_depend_on_the_order_of_delivery() {
    let committee = Committee::new(4, 1).unwrap();
    let scenario = everything::<Mersenne61>(committee, 1, 3);
    let transcripts = |order| -> Vec<_> {
        let endings = run(&scenario.plan, &scenario.private, order, &mut honest);
        endings.into_iter().map(|e| e.unwrap().1).collect()
    };
    assert_eq!(transcripts(1), transcripts(2));
    let first = transcripts(3);
    assert_ne!(first[0], first[1]);
}

#[test]
fn plans_and_starts_are_checked() {
    let committee = Committee::new(4, 2).unwrap();
    let mut plan = Plan::<Mersenne61>::new(committee);
    let a = plan.input(party(1), 3).unwrap();
    let b = plan.input(party(2), 2).unwrap();
    assert_eq!(plan.add(a, b), Err(PlanError::Length { left: 3, right: 2 }));
    assert_eq!(plan.mul(a, a), Err(PlanError::Degree { have: 4, need: 5 }));
    assert_eq!(plan.input(party(5), 1), Err(PlanError::Stranger(party(5))));
    assert_eq!(plan.open(a, Some(party(5))), Err(PlanError::Stranger(party(5))));
    let opened = plan.open(a, None).unwrap();
    assert_eq!(plan.sum(opened), Err(PlanError::Column(opened)));
    assert!(matches!(plan.input(party(1), 1 << 28), Err(PlanError::TooLong(_))));

    let plan = Arc::new(plan);
    let seed = Seed::from_bytes(Prg::random().bytes());
    let wrong = vec![vec![Mersenne61::ONE; 2]];
    let refused = Session::start(ID, party(1), Arc::clone(&plan), wrong, &seed).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "party 1 brings 1 private columns of the lengths [2], the plan asks for [3]"
    );
    let refused = Session::start(ID, party(9), plan, vec![], &seed).unwrap_err();
    assert!(matches!(refused, StartError::Stranger(_)));
}
