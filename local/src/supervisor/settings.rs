//! What the person at this machine may choose: `.env` (git ignores it) and the environment, which wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Where the local system listens, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The emulator of AWS.
    pub aws: u16,
    /// The API, which is also where functions are invoked.
    pub api: u16,
    /// The local model provider.
    pub provider: u16,
    /// The local Stripe.
    pub stripe: u16,
    /// Where the web app will be; the page of the subscription, meanwhile.
    pub web: u16,
}

/// Who answers the model calls.
#[derive(Clone, PartialEq, Eq)]
pub enum Provider {
    /// The local provider, with the demo grader behind it.
    Local,
    /// A real provider, paid with this key.
    Real {
        /// Its address.
        base_url: String,
        /// The key; never printed.
        key: String,
    },
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("Local"),
            Self::Real { base_url, .. } => write!(f, "Real {{ base_url: {base_url:?}, key: … }}"),
        }
    }
}

/// The settings of a local system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where state and logs are kept.
    pub folder: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    /// Who answers the model calls.
    pub provider: Provider,
    /// Values for parameters of `template.yaml`: model, prices, tiers, log level. Absent ones keep the
    /// template's default.
    pub parameters: BTreeMap<&'static str, String>,
}

const REAL_BASE_URL: &str = "https://api.anthropic.com";

/// A variable, and the parameter of the template that it sets.
const PARAMETERS: [(&str, &str); 4] = [
    ("MODEL", "Model"),
    ("PRICES_OVERRIDE", "PricesOverride"),
    ("CATALOGUE", "Catalogue"),
    ("RUST_LOG", "LogLevel"),
];

impl Settings {
    /// Reads `.env` in `root`, if there is one, and the environment.
    ///
    /// # Errors
    /// A line that is not `NAME=value`, or a value that does not fit; the sentence names it.
    pub fn load(root: &Path) -> anyhow::Result<Self> {
        let path = root.join(".env");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let file = parse(&text)?;
        Self::from_lookup(root, |name| {
            std::env::var(name)
                .ok()
                .or_else(|| file.get(name).cloned())
                .filter(|value| !value.is_empty())
        })
    }

    fn from_lookup(root: &Path, value: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let port = |name: &str, usual: u16| {
            value(name).map_or(Ok(usual), |text| {
                text.parse()
                    .with_context(|| format!("{name} must be a port number, not {text:?}"))
            })
        };
        let ports = Ports {
            aws: port("LOCAL_AWS_PORT", 4566)?,
            api: port("LOCAL_API_PORT", 9000)?,
            provider: port("LOCAL_PROVIDER_PORT", 9100)?,
            stripe: port("LOCAL_STRIPE_PORT", 9200)?,
            web: port("LOCAL_WEB_PORT", 3000)?,
        };
        let provider = match (value("MODEL_KEY"), value("MODEL_BASE_URL")) {
            (Some(key), base_url) => Provider::Real {
                base_url: base_url.unwrap_or_else(|| REAL_BASE_URL.to_owned()),
                key,
            },
            (None, None) => Provider::Local,
            (None, Some(base_url)) => {
                bail!("MODEL_BASE_URL is {base_url}, but MODEL_KEY is missing: set both in .env, or neither")
            }
        };
        let parameters = PARAMETERS
            .into_iter()
            .filter_map(|(variable, parameter)| Some((parameter, value(variable)?)))
            .collect();
        // An absolute path stays what it is.
        let folder = root.join(value("LOCAL_FOLDER").unwrap_or_else(|| ".local".to_owned()));
        Ok(Self {
            folder,
            ports,
            provider,
            parameters,
        })
    }
}

/// `NAME=value` lines; blank lines and `#` lines are skipped, one pair of quotes around a value is dropped.
fn parse(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            // The line itself may hold a key, so it is not shown.
            bail!("line {} of .env is not NAME=value", number + 1);
        };
        let value = value.trim();
        let unquoted = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
            .unwrap_or(value);
        values.insert(name.trim().to_owned(), unquoted.to_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(env: &str) -> anyhow::Result<Settings> {
        let values = parse(env)?;
        Settings::from_lookup(Path::new("/project"), |name| values.get(name).cloned())
    }

    #[test]
    fn without_a_key_everything_is_local_and_on_the_usual_ports() {
        let usual = settings("").unwrap();
        assert_eq!(
            usual.ports,
            Ports {
                aws: 4566,
                api: 9000,
                provider: 9100,
                stripe: 9200,
                web: 3000,
            }
        );
        assert_eq!((usual.provider, usual.parameters.len()), (Provider::Local, 0));
    }

    #[test]
    fn state_is_kept_in_the_project_unless_another_folder_is_named() {
        for (env, folder) in [
            ("", "/project/.local"),
            ("LOCAL_FOLDER=.local/other", "/project/.local/other"),
            ("LOCAL_FOLDER=/elsewhere", "/elsewhere"),
        ] {
            assert_eq!(settings(env).unwrap().folder, Path::new(folder));
        }
    }

    #[test]
    fn a_key_switches_to_the_real_provider_and_is_never_shown() {
        let real = settings("# mine\nMODEL_KEY='sk-secret'\nCATALOGUE={\"free\": 10}\nLOCAL_API_PORT = 9001")
            .unwrap();
        let expected = Provider::Real {
            base_url: REAL_BASE_URL.to_owned(),
            key: "sk-secret".to_owned(),
        };
        assert_eq!(real.provider, expected);
        assert_eq!(
            (real.ports.api, real.parameters["Catalogue"].as_str()),
            (9001, "{\"free\": 10}")
        );
        assert!(!format!("{real:?}").contains("sk-secret"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        for (env, sentence) in [
            ("MODEL_BASE_URL=https://example.com", "MODEL_KEY is missing"),
            ("A=b\nsk-secret", "line 2 of .env is not NAME=value"),
            (
                "LOCAL_AWS_PORT=70000",
                "LOCAL_AWS_PORT must be a port number, not \"70000\"",
            ),
        ] {
            let refusal = settings(env).unwrap_err().to_string();
            assert!(refusal.contains(sentence), "{refusal}");
        }
    }
}
