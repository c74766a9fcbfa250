//! Whole journeys: three enterprises that know different things about the same people, a lender
//! who buys, an auditor who trusts nobody. Each test is one story on real data
//! (`samples/german_credit.csv`), told from the first key to the last proof.

mod bad_line;
mod book_of_hours;
mod first_day;
mod platform_restarts;
mod stage;
