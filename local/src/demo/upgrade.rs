//! A run that does not fit, and what a teacher does then: choose a tier, pay, start again.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::client::Client;
use super::{Class, follow, read, text, upload};

/// Uploads a class again, for which the Free tokens do not suffice; pays for the first tier that is offered, on the
/// local Stripe's page, and grades it.
pub(super) async fn run(client: &Client, folder: &Path) -> anyhow::Result<()> {
    let class: Class = read(&folder.join("assignment.json"))?;
    let rubric: Value = read(&folder.join("rubric.json"))?;
    println!("\n{} — rattrapage", class.subject);
    let made = client
        .post(
            "/assignments",
            &json!({ "title": "Rattrapage", "subject": class.subject, "level": class.level,
                     "language": class.language, "roster": class.roster }),
        )
        .await?;
    let assignment = text(&made, "id")?;
    client
        .post(&format!("/assignments/{assignment}/rubrics"), &rubric)
        .await?;
    upload(client, &assignment, folder).await?;
    let runs = format!("/assignments/{assignment}/runs");
    let Some(problem) = client.refused(&runs, &json!({}), 402).await? else {
        println!("La correction tient dans ce qui reste : rien à acheter.");
        return Ok(());
    };
    println!("{}", text(&problem, "detail")?);
    let offers = problem["quota"]["upgrades"].as_array();
    let offer = offers
        .and_then(|offers| offers.first())
        .context("no tier is offered")?;
    println!(
        "  {} : {} jetons par mois, {} €",
        text(offer, "tier")?,
        offer["tokens"],
        euros(offer["amount_cents"].as_u64().unwrap_or_default())
    );
    let href = text(offer, "href")?;
    let begun = client.get(href.trim_start_matches("/api")).await?;
    let page = text(&begun, "checkout_url")?;
    println!("  paiement : {page}");
    let session = client.pay(&page).await?;
    let standing = client
        .get(&format!("/subscription/return?session_id={session}"))
        .await?;
    ensure!(
        standing["tier"] == offer["tier"],
        "paid, and still {}",
        standing["tier"]
    );
    println!(
        "Payé. Formule {} : {} jetons restants sur {}",
        text(&standing, "tier")?,
        standing["remaining"],
        standing["limit"]
    );
    let started = client.post(&runs, &json!({})).await?;
    let copies = follow(client, &assignment, &text(&started, "id")?).await?;
    let graded = copies.iter().filter(|copy| copy["state"] == "graded").count();
    ensure!(graded > 0, "paid, and none of {} copies is graded", copies.len());
    let usage = client.get("/usage").await?;
    println!("{}", super::report::usage(&usage));
    Ok(())
}

fn euros(cents: u64) -> String {
    format!("{},{:02}", cents / 100, cents % 100)
}
