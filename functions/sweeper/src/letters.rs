//! Letters: each that is due is sent once, as far as a mail can be.
//!
//! A letter is taken before it is sent, so two sweeps do not both send it, and marked after. Between the two lies
//! the one case in which it is sent twice: SES took it, and either its answer or this sweep was lost.

use shared::domain::catalogue::Catalogue;
use shared::domain::failure::Failure;
use shared::domain::mail::{Setting, is_late, is_too_old};
use shared::domain::time::UnixMillis;
use shared::store::{Due, Mail, Unsent};

use crate::{Doors, Swept, counted};

/// Letters of one sweep, at most: one after the other, at SES's usual pace, they take some seconds.
const LETTERS_MAX: i32 = 50;
/// No letter is begun after this: a call waits ten seconds at most, and a sweep has fifty-five. Unit: milliseconds.
const BEGIN_MILLIS_MAX: i64 = 30_000;

/// What it takes to send letters.
#[derive(Debug, Clone)]
pub struct Post {
    /// SES.
    pub mail: Mail,
    /// What is sold.
    pub catalogue: Catalogue,
    /// Where the web app is.
    pub web_origin: String,
}

/// What became of a letter in this sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Sent,
    /// Somebody else has it, or it said what is no longer true.
    Nothing,
    /// It will never be sent.
    Lost,
    /// There is no address to send it to, yet.
    Unaddressed,
    /// SES does not take letters now.
    Postponed,
}

/// Sends the letters whose turn it is. Without a [`Post`] they wait.
pub(crate) async fn send_due(doors: &Doors, now: UnixMillis) -> Swept {
    let Some(post) = &doors.post else {
        return Swept::default();
    };
    let due = match doors.store.due_letters(now, LETTERS_MAX).await {
        Ok(due) => due,
        Err(failure) => return counted("letters", Err(failure)),
    };
    let mut swept = Vec::with_capacity(due.len());
    for due in due {
        let became = send(doors, post, &due, now).await;
        let over = doors.clock.now_millis() - now.get() > BEGIN_MILLIS_MAX;
        let postponed = became == Ok(Became::Postponed);
        swept.push(counted("letter", became.map(|became| of(became, &due, now))));
        // What SES refuses to all, it refuses to the next one too.
        if postponed || over {
            break;
        }
    }
    swept.into_iter().sum()
}

fn of(became: Became, due: &Due, now: UnixMillis) -> Swept {
    let one = |counts: bool| u64::from(counts);
    let waits = matches!(became, Became::Unaddressed | Became::Postponed);
    Swept {
        letters_sent: one(became == Became::Sent),
        letters_lost: one(became == Became::Lost),
        letters_unaddressed: one(became == Became::Unaddressed),
        letters_late: one(waits && is_late(due.at, now)),
        ..Swept::default()
    }
}

async fn send(doors: &Doors, post: &Post, due: &Due, now: UnixMillis) -> Result<Became, Failure> {
    if !doors.store.take_letter(due, now).await? {
        return Ok(Became::Nothing);
    }
    let billing = doors.store.billing(due.account).await?;
    if !due.letter.holds(billing.subscription.as_ref(), now) {
        doors.store.forget_letter(due).await?;
        return Ok(Became::Nothing);
    }
    if is_too_old(due.at, now) {
        return lose(doors, due, "too old", now).await;
    }
    let Some(contact) = billing.contact else {
        tracing::warn!(account = %due.account, letter = due.letter.key(), "a letter without an address");
        return Ok(Became::Unaddressed);
    };
    let setting = Setting {
        catalogue: &post.catalogue,
        web_origin: &post.web_origin,
    };
    let written = due.letter.written(contact.language(), &setting);
    match post.mail.send(&contact, &written).await {
        Ok(()) => {
            doors.store.letter_sent(due, now).await?;
            Ok(Became::Sent)
        }
        Err(Unsent::Later(why)) => {
            tracing::error!(account = %due.account, letter = due.letter.key(), why, "a letter waits");
            Ok(Became::Postponed)
        }
        Err(Unsent::Never(why)) => lose(doors, due, &why, now).await,
    }
}

async fn lose(doors: &Doors, due: &Due, why: &str, now: UnixMillis) -> Result<Became, Failure> {
    doors.store.letter_lost(due, why, now).await?;
    tracing::error!(account = %due.account, letter = due.letter.key(), why, "a letter will not be sent");
    Ok(Became::Lost)
}
