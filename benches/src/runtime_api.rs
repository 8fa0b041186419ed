//! Lambda's side of a cold start: a runtime API that hands one event to a program and takes its answer, and a
//! stub of AWS: a table that finds nothing, a queue that takes all, and one secret.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

const BODY_BYTES_MAX: u64 = 6 * 1024 * 1024;
const DEADLINE_MILLIS: &str = "4102444800000";
/// Stripe's signing secret, as the stub keeps it.
pub const SIGNING_SECRET: &str = "whsec_bench";
/// Any other secret: a key of Stripe's.
const SECRET: &str = "sk_test_bench";

/// An answer of a program.
#[derive(Debug)]
struct Answer {
    at: Instant,
    body: Vec<u8>,
    accepted: bool,
}

/// A program that was started as Lambda does, with its event on the way.
#[derive(Debug)]
pub struct Invoked {
    name: String,
    child: Child,
    started: Instant,
    runtime_api: RuntimeApi,
}

/// Starts `program` as Lambda does, and hands it `event`.
///
/// # Errors
/// The program cannot be started.
pub fn invoke<'a>(
    program: &Path,
    environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    event: &Value,
) -> anyhow::Result<Invoked> {
    let runtime_api = RuntimeApi::start(event)?;
    let here = runtime_api.address.to_string();
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", &here)
        .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .env("AWS_REGION", "eu-west-3")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL", format!("http://{here}"))
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let name = program.display().to_string();
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    Ok(Invoked {
        name,
        child,
        started,
        runtime_api,
    })
}

impl Invoked {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits at most `patience` for the answer, and ends the program. Returns how long it took from the start of the
    /// process to its whole answer, and the answer.
    ///
    /// # Errors
    /// The program ends, reports an error, or does not answer.
    pub fn answer(mut self, patience: Duration) -> anyhow::Result<(Duration, Value)> {
        let answer = self.runtime_api.answers.recv_timeout(patience);
        self.child.kill()?;
        self.child.wait()?;
        let name = &self.name;
        let Ok(answer) = answer else {
            let mut complaint = String::new();
            if let Some(stderr) = self.child.stderr.take() {
                stderr.take(2_000).read_to_string(&mut complaint)?;
            }
            bail!("{name} did not answer: {complaint}");
        };
        let text = String::from_utf8_lossy(&answer.body);
        if !answer.accepted {
            bail!("{name} reported an error: {text}");
        }
        let body = serde_json::from_slice(&answer.body).with_context(|| format!("not JSON: {text}"))?;
        Ok((answer.at - self.started, body))
    }
}

/// The runtime API of one process, on a port of its own: what a process that is being ended still asks for
/// must not take the next one's event.
#[derive(Debug)]
struct RuntimeApi {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    answers: Receiver<Answer>,
}

impl RuntimeApi {
    fn start(event: &Value) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let event = Arc::new(Mutex::new(Some(event.to_string())));
        let closed = Arc::new(AtomicBool::new(false));
        let (tell, answers) = channel();
        let end = Arc::clone(&closed);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (event, tell) = (Arc::clone(&event), tell.clone());
                // A connection ends with the program that opened it; what it broke off is no answer.
                std::thread::spawn(move || converse(&stream, &event, &tell).is_ok());
            }
        });
        Ok(Self {
            address,
            closed,
            answers,
        })
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that listens.
        let _woken = TcpStream::connect(self.address);
    }
}

/// The requests of one connection.
fn converse(
    mut stream: &TcpStream,
    event: &Mutex<Option<String>>,
    answers: &Sender<Answer>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(Request { path, target, body }) = request(&mut reader)? {
        if path.ends_with("/invocation/next") {
            let next = event.lock().unwrap_or_else(PoisonError::into_inner).take();
            // A second event never comes: the program waits until it is ended.
            let Some(next) = next else {
                return io::copy(&mut reader, &mut io::sink()).map(drop);
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                 lambda-runtime-deadline-ms: {DEADLINE_MILLIS}\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-3:000000000000:function:bench\r\n\r\n",
                next.len()
            );
            stream.write_all((head + &next).as_bytes())?;
        } else if path.starts_with("/2018-06-01/runtime/") {
            let answer = Answer {
                at: Instant::now(),
                body,
                accepted: path.ends_with("/response"),
            };
            // Nobody waits for it any more when the measurement gave up.
            let _late = answers.send(answer);
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
        } else {
            let answer = aws(&target, &body).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all((head + &answer).as_bytes())?;
        }
    }
    Ok(())
}

/// What the stub answers to an operation (`x-amz-target`).
fn aws(target: &str, body: &[u8]) -> Value {
    match target {
        "secretsmanager.GetSecretValue" => {
            let signing = String::from_utf8_lossy(body).contains("signing");
            let secret = if signing { SIGNING_SECRET } else { SECRET };
            json!({ "ARN": "arn:aws:secretsmanager:eu-west-3:000000000000:secret:bench", "Name": "bench",
                    "SecretString": secret })
        }
        "AmazonSQS.SendMessageBatch" => json!({
            "Successful": [{ "Id": "0", "MessageId": "0", "MD5OfMessageBody": "0" }], "Failed": [],
        }),
        _ => json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
    }
}

/// A request of the program.
struct Request {
    path: String,
    /// The operation of AWS, if it is one.
    target: String,
    body: Vec<u8>,
}

/// The next request; `None` when the other side is done.
fn request(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut chunked, mut target) = (0, false, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "x-amz-target" => value.trim().clone_into(&mut target),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if !chunked {
        reader.take(length.min(BODY_BYTES_MAX)).read_to_end(&mut body)?;
        return Ok(Some(Request { path, target, body }));
    }
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16)
            .ok()
            .filter(|size| *size <= BODY_BYTES_MAX)
            .ok_or(io::ErrorKind::InvalidData)?;
        reader.take(size).read_to_end(&mut body)?;
        line.clear();
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(Some(Request { path, target, body }));
        }
    }
}
