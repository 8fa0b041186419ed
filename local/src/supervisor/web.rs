//! Where the web app will be: the page of the demo teacher's subscription, so that buying, changing and coming back
//! from Stripe can be clicked through. It knows nothing that the API does not say, and asks it as any browser would.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::ids::AccountId;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{DEMO_TEACHER, SessionKey};
use crate::html::escaped;

const HERE: &str = "/subscription";

/// The page, being served; it ends when dropped.
pub(super) struct Web(JoinHandle<()>);

impl Drop for Web {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the page needs.
struct Desk {
    http: reqwest::Client,
    api: String,
    key: SessionKey,
    teacher: AccountId,
}

/// Serves it on a port of this machine, for the demo teacher.
///
/// # Errors
/// The port is taken.
pub(super) async fn start(port: u16, api: &str, key: SessionKey) -> anyhow::Result<Web> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("the local page cannot listen on {address}"))?;
    let desk = Desk {
        http: reqwest::Client::new(),
        api: api.to_owned(),
        key,
        teacher: DEMO_TEACHER.parse()?,
    };
    let app = axum::Router::new()
        .route(HERE, get(show).post(act))
        .route("/subscription/return", get(come_back))
        .with_state(Arc::new(desk));
    Ok(Web(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the local page stopped");
        }
    })))
}

#[derive(Deserialize)]
struct Return {
    session_id: Option<String>,
}

/// What somebody pressed, and for which tier.
#[derive(Deserialize)]
struct Action {
    action: String,
    #[serde(default)]
    tier: String,
}

async fn show(State(desk): State<Arc<Desk>>) -> Response {
    shown(desk.ask("GET", "/subscription/status", None).await, "")
}

async fn come_back(State(desk): State<Arc<Desk>>, Query(from): Query<Return>) -> Response {
    let query = match from.session_id.filter(|id| is_plain(id)) {
        Some(session) => format!("?session_id={session}"),
        None => String::new(),
    };
    let answer = desk
        .ask("GET", &format!("/subscription/return{query}"), None)
        .await;
    shown(answer, "De retour de Stripe : voici votre formule.")
}

async fn act(State(desk): State<Arc<Desk>>, Form(asked): Form<Action>) -> Response {
    let tier = if is_plain(&asked.tier) {
        asked.tier.as_str()
    } else {
        ""
    };
    match asked.action.as_str() {
        "buy" => {
            let begun = desk
                .ask("GET", &format!("/subscription/checkout/{tier}"), None)
                .await;
            leave(begun, "checkout_url")
        }
        "portal" => leave(
            desk.ask("POST", "/subscription/portal", Some(json!({}))).await,
            "url",
        ),
        "change" => {
            let body = json!({ "tier": tier });
            shown(
                desk.ask("POST", "/subscription/change", Some(body)).await,
                "C’est noté.",
            )
        }
        "keep" => shown(
            desk.ask("POST", "/subscription/keep", Some(json!({}))).await,
            "Votre formule continue.",
        ),
        _ => Redirect::to(HERE).into_response(),
    }
}

/// Whether what the browser sent can stand in a path as it is.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A success's body, or the sentence of what went wrong.
type Answer = Result<Value, String>;

impl Desk {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let away = |error: reqwest::Error| format!("L’API ne répond pas : {error}");
        let token = self
            .key
            .mint(self.teacher, &Clock::system())
            .map_err(|error| error.to_string())?;
        let url = format!("{}/api{path}", self.api);
        let request = if method == "GET" {
            self.http.get(url)
        } else {
            self.http.post(url)
        };
        let request = request.bearer_auth(token).header("accept-language", "fr");
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.map_err(away)?;
        let accepted = answer.status().is_success();
        let body: Value = answer.json().await.map_err(away)?;
        if accepted {
            return Ok(body);
        }
        Err(body["detail"]
            .as_str()
            .unwrap_or("La demande est refusée.")
            .to_owned())
    }
}

/// On to a page of Stripe's.
fn leave(answer: Answer, page: &str) -> Response {
    match answer {
        Ok(body) => Redirect::to(body[page].as_str().unwrap_or(HERE)).into_response(),
        Err(problem) => shown(Err(problem), ""),
    }
}

fn shown(answer: Answer, notice: &str) -> Response {
    let (status, notice, body) = match answer {
        Ok(standing) => (StatusCode::OK, notice.to_owned(), standing_of(&standing)),
        Err(problem) => (
            StatusCode::BAD_GATEWAY,
            problem,
            format!("<p><a href=\"{HERE}\">Ma formule</a></p>"),
        ),
    };
    let notice = if notice.is_empty() {
        notice
    } else {
        format!("<p role=\"status\"><strong>{}</strong></p>", escaped(&notice))
    };
    let page = format!(
        "<!doctype html><html lang=\"fr\"><head><meta charset=\"utf-8\"><title>Ma formule</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>\
         body{{font:1rem system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}}\
         button{{display:block;width:100%;margin:.5rem 0;padding:.7rem;font:inherit}}\
         dt{{float:left;clear:left;width:12rem}}header{{background:#e7f1ff;padding:.7rem;border-radius:.3rem}}\
         </style></head><body><header>La Corrigeuse, sur cette machine : enseignant de démonstration</header>\
         <main><h1>Ma formule</h1>{notice}{body}</main></body></html>"
    );
    (status, Html(page)).into_response()
}

/// What the account has, and what can be done about it.
fn standing_of(standing: &Value) -> String {
    const TIERS: [&str; 3] = ["essentiel", "pro", "max"];
    let tier = standing["tier"].as_str().unwrap_or_default();
    let subscribed = standing["payment_state"] != "none";
    let mut body = String::from("<dl>");
    for (field, label) in [
        ("tier", "Formule"),
        ("tokens_used", "Jetons utilisés"),
        ("tokens_reserved", "Jetons réservés"),
        ("remaining", "Jetons restants"),
        ("limit", "sur"),
        ("payment_state", "Paiement"),
        ("subscription_end", "Fin de la période"),
        ("kept_until", "Gardée jusqu’au"),
        ("hold", "En attente"),
    ] {
        let value = match &standing[field] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        body += &format!("<dt>{label}</dt><dd>{}</dd>", escaped(&value));
    }
    body += "</dl>";
    if let Some(change) = standing["pending_change"].as_object() {
        let next = change.get("tier").and_then(Value::as_str).unwrap_or("free");
        let at = change.get("at").and_then(Value::as_str).unwrap_or("son paiement");
        body += &format!("<p>Ensuite : {} ({}).</p>", escaped(next), escaped(at));
        body += &button("keep", "", "Garder ma formule");
    }
    if let Some(page) = standing["pay_page"].as_str() {
        body += &format!("<p><a href=\"{}\">Payer la facture</a></p>", escaped(page));
    }
    for other in TIERS.into_iter().filter(|other| *other != tier) {
        let action = if subscribed { "change" } else { "buy" };
        body += &button(action, other, &format!("Choisir {other}"));
    }
    if subscribed {
        body += &button("change", "free", "Arrêter à la fin de la période");
        body += &button("portal", "", "Cartes et factures, chez Stripe");
    }
    body
}

fn button(action: &str, tier: &str, label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{HERE}\"><input type=\"hidden\" name=\"tier\" value=\"{tier}\">\
         <button name=\"action\" value=\"{action}\">{label}</button></form>"
    )
}
