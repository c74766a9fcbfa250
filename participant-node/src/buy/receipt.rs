//! Receipts: the trade's end, on the log of trades. One that could not be sent is owed, and is
//! sent with the next purchase.

use std::{collections::HashMap, io::ErrorKind, time::Duration};

use backon::{BlockingRetryable, ConstantBuilder};
use encrytrust_index_chain::log::LogError;
use encrytrust_protocol::{Receipt, Signed, TradeId, Verified};

use crate::{
    client::Submitted,
    error::NodeError,
    node::Node,
    vault::{Follower, Journal, PurchaseEvent, VaultError},
};

const LOG: &str = "purchases";

impl Node {
    /// Writes to `vault/purchases`; another process may be writing, so it tries for a while.
    pub(super) fn note_purchase(&self, event: PurchaseEvent) -> Result<(), NodeError> {
        let (vault, key) = (self.vault(), self.vault_key());
        let patience =
            ConstantBuilder::default().with_delay(Duration::from_millis(50)).with_max_times(100);
        let open = || Journal::<PurchaseEvent>::open(&vault, LOG, key);
        let mut journal = open.retry(patience).when(is_busy).call()?;
        Ok(journal.append(&[event])?)
    }

    /// Puts a receipt on the log of trades and checks that it is there; answers its place.
    pub(super) async fn settle(
        &self,
        receipt: &Verified<Receipt>,
        trade: TradeId,
    ) -> Result<u64, NodeError> {
        match self.platform().submit_receipt(receipt.id(), receipt.bytes()).await? {
            Submitted::Included { index } => {
                self.note_purchase(PurchaseEvent::Settled { trade, index })?;
                Ok(index)
            }
            Submitted::Refused { why } => {
                self.note_purchase(PurchaseEvent::Dropped { trade })?;
                Err(NodeError::Refused(format!("the platform refused the receipt: {why}")))
            }
        }
    }

    /// Sends the receipts that are owed from earlier. What cannot be sent now stays owed.
    pub(super) async fn settle_debts(&self) -> Result<(), NodeError> {
        let mut owed = HashMap::new();
        Follower::<PurchaseEvent>::new(&self.vault(), LOG, self.vault_key()).read(|event| {
            match event {
                PurchaseEvent::Judged(judged) => {
                    owed.insert(judged.trade, judged.receipt);
                }
                PurchaseEvent::Settled { trade, .. } | PurchaseEvent::Dropped { trade } => {
                    owed.remove(&trade);
                }
            }
        })?;
        for (trade, bytes) in owed {
            let receipt = Signed::<Receipt>::decode(&bytes).map(Signed::verify);
            let Ok(Ok(receipt)) = receipt else { continue };
            if let Err(error) = self.settle(&receipt, trade).await {
                tracing::warn!("a receipt is still owed: {error}");
            }
        }
        Ok(())
    }
}

fn is_busy(error: &VaultError) -> bool {
    let VaultError::Log { source, .. } = error else { return false };
    matches!(&**source, LogError::Disk { source, .. } if source.kind() == ErrorKind::WouldBlock)
}
