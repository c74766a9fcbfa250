//! The crowder: a member that buries somebody's offer under a thousand of its own about the same
//! subject.

use anyhow::Result;
use encrytrust_tests::{MarketUnderTest, Table};

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_found_behind_a_thousand_others() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    let crowder = market.hand("crowder").await?;
    let ada = ["ZZ-000001".to_owned()];
    let tag = lender.find(&ada, false, &|_| ()).await?.tag;
    for _ in 0..2 {
        let crowd = (0..1000).map(|_| crowder.sign(crowder.terms(tag)));
        let crowd = crowd.collect::<Result<Vec<_>>>()?;
        let bytes: Vec<_> = crowd.iter().map(|offer| offer.bytes()).collect();
        let results = market.wire().offers(&bytes).await?;
        assert!(results.iter().all(|result| result.problem.is_none()));
    }
    market.publish(&bank, &Table::incomes(market.path("rows.csv"), 3)?, None).await?;
    for local in [true, false] {
        let found = lender.find(&ada, local, &|_| ()).await?.offers;
        let mine = found.iter().find(|offer| offer.title == "bank");
        assert!(mine.is_some(), "not among {} (local: {local})", found.len());
        assert_eq!(found.len(), 2001);
        assert!(found.is_sorted_by_key(|offer| offer.index), "oldest first");
    }
    Ok(())
}
