//! The machine itself: one step after the other, as far as the messages allow.

use std::{collections::BTreeMap, fmt, sync::Arc};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Effect, Event, SessionError, StartError, message};
use crate::{
    field::Field,
    party::{Committee, Party},
    prg::Seed,
    protocols::{
        Column, CompressedDealing, PairSeeds, Plan, PlanError, Step, inner_product, multipliers,
        products, recombine,
    },
    sharing::{Shares, reconstruct},
};

/// One party's side of a plan.
pub struct Session<F: Field> {
    id: [u8; 32],
    me: Party,
    plan: Arc<Plan<F>>,
    seeds: PairSeeds,
    /// Indexed by dealer.
    dealings: Vec<CompressedDealing<F>>,
    /// Private columns still to be shared, the next one last.
    private: Vec<Zeroizing<Vec<F>>>,
    columns: Vec<Option<Shares<F>>>,
    /// The last step that reads each column, after which it is wiped.
    last_use: Vec<usize>,
    /// The step at work: 0 is the agreement on seeds, s + 1 is step s of the plan.
    step: usize,
    /// What this party dealt to itself in the step at work.
    own: Option<Shares<F>>,
    inbox: BTreeMap<(usize, Party), Zeroizing<Vec<u8>>>,
    transcript: Sha256,
    ended: bool,
}

impl<F: Field> Session<F> {
    /// Starts a party's side: the session, and what is to be done first.
    ///
    /// `id` names this computation and is never used again. `private` are the columns that the
    /// plan's inputs ask of this party, in their order. `seed` is fresh randomness.
    pub fn start(
        id: [u8; 32],
        me: Party,
        plan: Arc<Plan<F>>,
        private: Vec<Vec<F>>,
        seed: &Seed,
    ) -> Result<(Self, Vec<Effect<F>>), StartError> {
        let committee = plan.committee();
        if !committee.contains(me) {
            return Err(StartError::Stranger(PlanError::Stranger(me)));
        }
        let mut private: Vec<_> = private.into_iter().map(Zeroizing::new).collect();
        let lengths: Vec<_> = private.iter().map(|c| c.len()).collect();
        let asked = plan.steps().iter().filter_map(|step| match step {
            Step::Input { dealer, len } if *dealer == me => Some(*len),
            _ => None,
        });
        let asked: Vec<_> = asked.collect();
        if lengths != asked {
            return Err(StartError::Inputs { party: me, lengths, asked });
        }
        private.reverse();
        let mut last_use: Vec<_> = (0..plan.steps().len()).collect();
        for (index, step) in plan.steps().iter().enumerate() {
            step.reads().for_each(|column| last_use[column.index()] = index);
        }
        let mut transcript = Sha256::new();
        transcript.update(b"encrytrust/smpc/transcript/v1");
        transcript.update(id);
        transcript.update(me.number().to_be_bytes());
        let mut session = Self {
            id,
            me,
            seeds: PairSeeds::new(committee, me),
            dealings: committee.iter().map(|p| CompressedDealing::new(committee, p)).collect(),
            private,
            columns: vec![None; plan.steps().len()],
            last_use,
            step: 0,
            own: None,
            inbox: BTreeMap::new(),
            transcript,
            ended: false,
            plan,
        };
        let mut effects = Vec::new();
        for other in committee.iter().filter(|other| *other > me) {
            let shared = seed.derive("pair", other.number().into());
            session.send(other, shared.expose(), &mut effects);
            session.seeds.insert(other, shared);
        }
        session.advance(&mut effects);
        Ok((session, effects))
    }

    /// Tells the session something; the answer is what it wants done. After it is done or has
    /// failed, it wants nothing any more.
    pub fn handle(&mut self, event: Event) -> Vec<Effect<F>> {
        let mut effects = Vec::new();
        if self.ended {
            return effects;
        }
        match event {
            Event::Deadline => {
                let (parties, step) = (self.missing(), self.step);
                self.fail(SessionError::Silent { parties, step }, &mut effects);
            }
            Event::Message { from, bytes } => match self.keep(from, bytes) {
                Ok(()) => self.advance(&mut effects),
                Err(error) => self.fail(error, &mut effects),
            },
        }
        effects
    }

    /// Whether it is done or has failed.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// The step at work: 0 is the agreement on seeds, s + 1 is step s of the plan.
    #[must_use]
    pub const fn step(&self) -> usize {
        self.step
    }

    /// Whose messages it waits for.
    #[must_use]
    pub fn missing(&self) -> Vec<Party> {
        if self.ended {
            return Vec::new();
        }
        let arrived = |from: &Party| self.inbox.contains_key(&(self.step, *from));
        self.awaited(self.step).into_iter().filter(|from| !arrived(from)).collect()
    }

    fn committee(&self) -> Committee {
        self.plan.committee()
    }

    fn dealing(&self, dealer: Party) -> &CompressedDealing<F> {
        &self.dealings[dealer.index()]
    }

    /// Whose messages a step waits for at this party.
    fn awaited(&self, step: usize) -> Vec<Party> {
        let everybody = self.committee().iter();
        let sends = |dealer: &Party| *dealer != self.me && !self.dealing(*dealer).draws(self.me);
        let Some(index) = step.checked_sub(1) else {
            return everybody.filter(|p| *p < self.me).collect();
        };
        match self.plan.steps().get(index) {
            Some(Step::Input { dealer, .. }) => Some(*dealer).filter(sends).into_iter().collect(),
            Some(Step::Mul(..) | Step::InnerProduct(..)) => {
                multipliers(self.committee()).filter(sends).collect()
            }
            Some(Step::Open { to, .. }) if to.is_none_or(|to| to == self.me) => {
                everybody.filter(|p| *p != self.me).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Bytes of a step's payload.
    fn payload(&self, step: usize) -> usize {
        let Some(index) = step.checked_sub(1) else { return 32 };
        F::BYTES * self.values(index)
    }

    /// Values that a step of the plan deals or opens.
    fn values(&self, index: usize) -> usize {
        let len = |column| self.plan.len_of(column).expect("the plan checked its columns");
        match &self.plan.steps()[index] {
            Step::Input { len, .. } => *len,
            Step::Open { column, .. } | Step::Mul(column, _) => len(*column),
            _ => 1,
        }
    }

    /// Checks a message against the plan and keeps it until its step comes.
    fn keep(&mut self, party: Party, bytes: Zeroizing<Vec<u8>>) -> Result<(), SessionError> {
        let step = message::step(&self.id, &bytes).ok_or(SessionError::Foreign { party })?;
        if step == message::ABORT {
            let parties = self.committee().parties().into();
            return Err(match message::decode_abort(&bytes, parties) {
                Some((step, blames)) => SessionError::Aborted { by: party, step, blames },
                None => SessionError::Foreign { party },
            });
        }
        if self.inbox.contains_key(&(step, party)) {
            return Err(SessionError::Repeated { party, step });
        }
        if step < self.step || !self.awaited(step).contains(&party) {
            return Err(SessionError::Unexpected { party, step });
        }
        let (have, want) = (bytes.len(), message::START + self.payload(step));
        if have != want {
            return Err(SessionError::Length { party, step, have, want });
        }
        self.inbox.insert((step, party), bytes);
        Ok(())
    }

    fn send(&mut self, to: Party, payload: &[u8], effects: &mut Vec<Effect<F>>) {
        let bytes = message::encode(&self.id, self.step, payload);
        self.record(b"sent", to, &bytes);
        effects.push(Effect::Send { to, bytes });
    }

    fn record(&mut self, direction: &[u8], party: Party, bytes: &[u8]) {
        self.transcript.update(direction);
        self.transcript.update(party.number().to_be_bytes());
        self.transcript.update((bytes.len() as u64).to_be_bytes());
        self.transcript.update(bytes);
    }

    /// Ends without a result, and tells the others unless one of them said so first.
    fn fail(&mut self, error: SessionError, effects: &mut Vec<Effect<F>>) {
        if !matches!(error, SessionError::Aborted { .. }) {
            let bytes = message::encode_abort(&self.id, self.step, &error.culprits());
            let others = self.committee().iter().filter(|p| *p != self.me);
            effects.extend(others.map(|to| Effect::Send { to, bytes: bytes.clone() }));
        }
        self.end();
        effects.push(Effect::Failed(error));
    }

    /// Lets go of everything secret.
    fn end(&mut self) {
        self.ended = true;
        self.columns.clear();
        self.private.clear();
        self.inbox.clear();
        self.own = None;
        self.seeds = PairSeeds::new(self.committee(), self.me);
    }

    /// Finishes steps and begins the next ones until a message is missing.
    fn advance(&mut self, effects: &mut Vec<Effect<F>>) {
        while self.missing().is_empty() {
            if let Err(error) = self.finish(effects) {
                return self.fail(error, effects);
            }
            self.step += 1;
            if self.step > self.plan.steps().len() {
                self.end();
                let transcript = self.transcript.clone().finalize().into();
                return effects.push(Effect::Done { transcript });
            }
            self.begin(effects);
        }
    }

    /// What a step sends.
    fn begin(&mut self, effects: &mut Vec<Effect<F>>) {
        let plan = Arc::clone(&self.plan);
        match &plan.steps()[self.step - 1] {
            Step::Input { dealer, .. } if *dealer == self.me => {
                let secrets = self.private.pop().expect("one column per input, checked at start");
                self.deal(&secrets, effects);
            }
            Step::Mul(a, b) if self.multiplies() => {
                let product = products(self.column(*a), self.column(*b));
                self.deal(product.expose(), effects);
            }
            Step::InnerProduct(a, b) if self.multiplies() => {
                let product = inner_product(self.column(*a), self.column(*b));
                self.deal(product.expose(), effects);
            }
            Step::Open { column, to } => {
                let payload = Zeroizing::new(F::encode(self.column(*column).expose()));
                let receivers = self.committee().iter().filter(|p| to.is_none_or(|to| to == *p));
                let me = self.me;
                for to in receivers.filter(|p| *p != me) {
                    self.send(to, &payload, effects);
                }
            }
            _ => {}
        }
    }

    fn multiplies(&self) -> bool {
        multipliers(self.committee()).any(|p| p == self.me)
    }

    fn deal(&mut self, secrets: &[F], effects: &mut Vec<Effect<F>>) {
        let (own, sent) = self.dealing(self.me).deal(secrets, &self.seeds, self.step as u64);
        for shares in sent {
            let payload = Zeroizing::new(F::encode(shares.expose()));
            self.send(shares.party(), &payload, effects);
        }
        self.own = Some(own);
    }

    fn column(&self, column: Column) -> &Shares<F> {
        self.columns[column.index()].as_ref().expect("a column is kept until its last use")
    }

    /// What a step makes of what arrived.
    fn finish(&mut self, effects: &mut Vec<Effect<F>>) -> Result<(), SessionError> {
        let mut received = BTreeMap::new();
        for from in self.awaited(self.step) {
            let bytes = self.inbox.remove(&(self.step, from)).expect("nothing is missing");
            self.record(b"received", from, &bytes);
            received.insert(from, bytes);
        }
        let Some(index) = self.step.checked_sub(1) else {
            for (from, bytes) in received {
                let payload = bytes[message::START..].try_into().expect("checked on arrival");
                self.seeds.insert(from, Seed::from_bytes(payload));
            }
            return Ok(());
        };
        let plan = Arc::clone(&self.plan);
        let result = match &plan.steps()[index] {
            Step::Input { dealer, .. } => Some(self.dealt(*dealer, &received)?),
            Step::Mul(..) | Step::InnerProduct(..) => {
                let dealers = multipliers(self.committee());
                let subshares: Vec<_> =
                    dealers.map(|d| self.dealt(d, &received)).collect::<Result<_, _>>()?;
                let columns: Vec<_> = multipliers(self.committee())
                    .zip(&subshares)
                    .map(|(dealer, shares)| (dealer, shares.expose()))
                    .collect();
                Some(recombine(self.me, &columns).expect("multipliers are distinct"))
            }
            Step::Open { column, to } => {
                if to.is_none_or(|to| to == self.me) {
                    let values = self.opened(*column, &received)?;
                    effects.push(Effect::Opened { opening: Column::at(index), values });
                }
                None
            }
            local => Some(self.local(local)),
        };
        self.columns[index] = result;
        for read in plan.steps()[index].reads().chain([Column::at(index)]) {
            if self.last_use[read.index()] <= index {
                self.columns[read.index()] = None;
            }
        }
        Ok(())
    }

    /// A step that needs nobody else.
    fn local(&self, step: &Step<F>) -> Shares<F> {
        const FITS: &str = "the plan checked the lengths";
        let binary = |a: &Column, b: &Column| (self.column(*a).clone(), self.column(*b));
        match step {
            Step::Add(a, b) => {
                let (mut sum, b) = binary(a, b);
                sum.add(b).expect(FITS);
                sum
            }
            Step::Sub(a, b) => {
                let (mut difference, b) = binary(a, b);
                difference.sub(b).expect(FITS);
                difference
            }
            Step::Scale(a, factor) => {
                let mut scaled = self.column(*a).clone();
                scaled.scale(*factor);
                scaled
            }
            Step::AddPublic(a, values) => {
                let mut sum = self.column(*a).clone();
                sum.add_public(values).expect(FITS);
                sum
            }
            Step::MulPublic(a, factors) => {
                let mut product = self.column(*a).clone();
                product.mul_public(factors).expect(FITS);
                product
            }
            Step::Sum(a) => self.column(*a).sum(),
            Step::Input { .. } | Step::Mul(..) | Step::InnerProduct(..) | Step::Open { .. } => {
                unreachable!("finish() handles what needs messages")
            }
        }
    }

    /// This party's shares of what a dealer dealt in the step at work: its own, drawn, or sent.
    fn dealt(
        &mut self,
        dealer: Party,
        received: &BTreeMap<Party, Zeroizing<Vec<u8>>>,
    ) -> Result<Shares<F>, SessionError> {
        if dealer == self.me {
            return Ok(self.own.take().expect("begin() dealt"));
        }
        match received.get(&dealer) {
            Some(bytes) => self.read(dealer, bytes),
            None => {
                let len = self.values(self.step - 1);
                Ok(self.dealing(dealer).draw(&self.seeds, self.step as u64, len))
            }
        }
    }

    /// The shares in a message, on behalf of the party they lie at.
    fn read(&self, from: Party, bytes: &[u8]) -> Result<Shares<F>, SessionError> {
        let step = self.step;
        let garbage = |why| SessionError::Garbage { party: from, step, why };
        Ok(Shares::new(self.me, F::decode(&bytes[message::START..]).map_err(garbage)?))
    }

    fn opened(
        &self,
        column: Column,
        received: &BTreeMap<Party, Zeroizing<Vec<u8>>>,
    ) -> Result<Vec<F>, SessionError> {
        let step = self.step;
        let mut shares = vec![self.column(column).clone()];
        for (from, bytes) in received {
            let values = self.read(*from, bytes)?;
            shares.push(Shares::new(*from, values.expose().to_vec()));
        }
        let all: Vec<_> = shares.iter().collect();
        let degree = self.committee().degree().into();
        match reconstruct(degree, self.values(step - 1), &all) {
            Ok(opened) if opened.liars.is_empty() => Ok(opened.values),
            Ok(opened) => Err(SessionError::Lied { parties: opened.liars, step }),
            Err(why) => Err(SessionError::Opening { step, why }),
        }
    }
}

impl<F: Field> fmt::Debug for Session<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (me, step, steps) = (self.me, self.step, self.plan.steps().len());
        write!(f, "Session({me}, step {step} of {steps}, <redacted>)")
    }
}
