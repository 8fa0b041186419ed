//! The system's tests, in one binary.

// `cfg(test)` always holds here; it is how clippy knows that these modules may unwrap.
#[cfg(test)]
mod billing;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod emulators;
#[cfg(test)]
mod events;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod pdf_child;
#[cfg(test)]
mod pdf_corpus;
#[cfg(test)]
mod pdf_samples;
#[cfg(test)]
mod stripe_fake;
#[cfg(test)]
mod supervisor;
#[cfg(test)]
mod template;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod watched;
#[cfg(test)]
mod wire;
