//! Rates of the kernels on this machine, one thread: `cargo run --release --example kernels`.

use std::{collections::VecDeque, hint::black_box, sync::Arc, time::Instant};

use encrytrust_smpc::{
    Committee, Party,
    feldman::{
        Dealing, Header,
        bare::{BareDealing, HighEntropy},
        batched::BatchedDealing,
        blinded::{BlindedDealing, Timing},
    },
    field::{Field, Mersenne61, Mersenne127, Ristretto},
    prg::{Prg, Seed},
    protocols::{Column, Plan},
    session::{Effect, Event, Session},
    sharing::{deal, reconstruct},
};

/// Seconds of the fastest of some runs.
fn seconds(runs: usize, mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..runs).map(once).fold(f64::INFINITY, f64::min)
}

fn column<F: Field>(len: usize) -> Vec<F> {
    let mut column = vec![F::ZERO; len];
    Prg::random().elements(&mut column);
    column
}

/// Elements per microsecond, in columns that stay in the cache.
fn arithmetic<F: Field>() {
    const LEN: usize = 4096;
    const TURNS: usize = 50;
    let (mut a, b) = (column::<F>(LEN), column::<F>(LEN));
    let mut rate = |name: &str, op: &mut dyn FnMut(&mut [F])| {
        let time = seconds(9, || (0..TURNS).for_each(|_| op(black_box(&mut a))));
        println!("{:>12} {name:<16} {:>8.3} G/s", F::NAME, (LEN * TURNS) as f64 / time / 1e9);
    };
    rate("add", &mut |a| F::add_slice(a, &b));
    rate("mul", &mut |a| F::mul_slice(a, &b));
    rate("scale", &mut |a| F::scale_slice(a, b[0]));
    rate("inner product", &mut |a| {
        black_box(F::inner_product(a, &b));
    });
    rate("combine 3", &mut |a| F::combine(a, &b[..3], &[&b, &b, &b]));
    rate("sum", &mut |a| {
        black_box(F::sum(a));
    });
    let mut prg = Prg::random();
    rate("sample", &mut |a| prg.elements(a));
}

fn sharing<F: Field>(parties: u16, degree: u16, len: usize) {
    let committee = Committee::new(parties, degree).expect("fits");
    let secrets = column::<F>(len);
    let mut prg = Prg::random();
    let mut shares = Vec::new();
    let dealing = seconds(5, || shares = deal(committee, &secrets, &mut prg));
    let all: Vec<_> = shares.iter().collect();
    let opening = seconds(5, || {
        black_box(reconstruct(degree.into(), len, &all)).expect("honest");
    });
    let name = F::NAME;
    println!(
        "{name:>12} n={parties} d={degree} {len} values: deal {dealing:.4} s, open {opening:.4} s"
    );
}

/// All parties of a plan in one thread; seconds per party.
fn session(
    name: &str,
    parties: u16,
    degree: u16,
    len: usize,
    build: impl Fn(&mut Plan<Mersenne61>, Column, Column),
) {
    let committee = Committee::new(parties, degree).expect("fits");
    let mut plan = Plan::new(committee);
    let [a, b] = [1, 2].map(|n| plan.input(Party::new(n).expect("not 0"), len).expect("fits"));
    build(&mut plan, a, b);
    let plan = Arc::new(plan);
    let values = column::<Mersenne61>(len);
    let (mut total, mut sent) = (0.0, 0);
    let mut wire = VecDeque::new();
    let mut sessions = Vec::new();
    for me in committee.iter() {
        let private = if me.number() <= 2 { vec![values.clone()] } else { vec![] };
        let start = Instant::now();
        let plan = Arc::clone(&plan);
        let started = Session::start([0; 32], me, plan, private, &Seed::random()).expect("fits");
        total += start.elapsed().as_secs_f64();
        wire.extend(started.1.into_iter().map(|effect| (me, effect)));
        sessions.push(started.0);
    }
    while let Some((from, effect)) = wire.pop_front() {
        if let Effect::Send { to, bytes } = effect {
            sent += bytes.len();
            let start = Instant::now();
            let effects = sessions[to.index()].handle(Event::Message { from, bytes });
            total += start.elapsed().as_secs_f64();
            wire.extend(effects.into_iter().map(|effect| (to, effect)));
        }
    }
    assert!(sessions.iter().all(Session::ended));
    let (n, sent) = (f64::from(parties), sent as f64 / 1e6);
    println!(
        "{name:>24} n={parties} d={degree}: {:.4} s, {:.1} MB sent per party",
        total / n,
        sent / n
    );
}

fn sessions(parties: u16, degree: u16) {
    const PLANNED: &str = "the plan fits";
    session("two inputs of 1e6", parties, degree, 1_000_000, |_, _, _| {});
    session("and 1e6 products", parties, degree, 1_000_000, |plan, a, b| {
        plan.mul(a, b).expect(PLANNED);
    });
    session("and inner product", parties, degree, 1_000_000, |plan, a, b| {
        let inner = plan.inner_product(a, b).expect(PLANNED);
        plan.open(inner, None).expect(PLANNED);
    });
    session("sum of 1e6, opened", parties, degree, 1_000_000, |plan, a, b| {
        let sum = plan.add(a, b).expect(PLANNED);
        plan.open(sum, None).expect(PLANNED);
    });
    session("1000 products in a row", parties, degree, 1, |plan, a, b| {
        (0..1000).fold(a, |product, _| plan.mul(product, b).expect(PLANNED));
    });
}

fn feldman(len: usize) {
    let committee = Committee::new(3, 1).expect("fits");
    let dealer = Party::new(1).expect("not 0");
    let header = |len| Header { session: [0; 32], committee, dealer, len };
    let mut prg = Prg::random();
    let few = len / 100;
    let secrets = HighEntropy::sample(few, &mut prg);
    let mut dealt = None;
    let time = seconds(2, || {
        dealt = Some(BareDealing::deal(header(few as u32), &secrets, &mut prg));
    });
    let scale = len as f64 / few as f64;
    report("bare", time * scale, dealt.take(), scale);

    let secrets = column::<Ristretto>(len);
    let mut dealt = None;
    let time = seconds(2, || {
        let header = header(len as u32);
        dealt = Some(BlindedDealing::deal(header, &secrets, Timing::Variable, &mut prg));
    });
    report("blinded", time, dealt, 1.0);
    let secrets = &secrets[..len / 100];
    let time = seconds(2, || {
        let header = header(secrets.len() as u32);
        black_box(BlindedDealing::deal(header, secrets, Timing::Constant, &mut prg));
    });
    println!("feldman blinded, constant time: dealer {:.3} s", time * 100.0);
    let secrets = column::<Mersenne61>(len);
    let mut dealt = None;
    let time = seconds(3, || {
        dealt = Some(BatchedDealing::deal(header(len as u32), &secrets, &mut prg));
    });
    report("batched", time, dealt, 1.0);
}

type Dealt<D> = (D, Vec<encrytrust_smpc::feldman::Package<<D as Dealing>::Field>>);

fn report<D: Dealing>(name: &str, dealer: f64, dealt: Option<Dealt<D>>, scale: f64) {
    let Some((dealing, packages)) = dealt else { return };
    let verifier = seconds(3, || {
        assert!(dealing.opens(&packages[1]) && dealing.fault(&packages[1]).is_none());
    });
    let bytes = dealing.encode().len();
    println!(
        "feldman {name:<18} dealer {dealer:.3} s, verifier {:.4} s, {bytes} B",
        verifier * scale
    );
}

fn main() {
    arithmetic::<Mersenne61>();
    arithmetic::<Mersenne127>();
    arithmetic::<Ristretto>();
    sharing::<Mersenne61>(3, 1, 1_000_000);
    sharing::<Mersenne61>(5, 2, 1_000_000);
    sharing::<Mersenne127>(3, 1, 1_000_000);
    sharing::<Ristretto>(3, 1, 100_000);
    sessions(3, 1);
    sessions(5, 2);
    println!("Feldman, per 1e6 values, n=3 d=1");
    feldman(1_000_000);
}
