//! What the doors refuse, each as a problem in the caller's language, with nothing lost.

use serde_json::{Value, json};

use super::teacher::{sample_json, text};
use super::world::World;

/// What is sent and what comes back. `{a}` in a path is an assignment with a barème.
struct Case {
    about: &'static str,
    method: &'static str,
    path: String,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    /// The field that the problem names, where it names one.
    field: Option<&'static str>,
    /// Words of what the problem tells to do, in French.
    remedy: &'static str,
}

impl Case {
    fn told(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }
}

fn case(
    about: &'static str,
    (method, path): (&'static str, &str),
    body: impl ToString,
    (status, code): (u16, &'static str),
    field: Option<&'static str>,
) -> Case {
    Case {
        about,
        method,
        path: path.to_owned(),
        body: body.to_string().into_bytes(),
        status,
        code,
        field,
        remedy: "",
    }
}

const MALFORMED: (u16, &str) = (400, "malformed-body");
const NOT_FOUND: (u16, &str) = (404, "not-found");
const ASSIGNMENTS: (&str, &str) = ("POST", "/api/assignments");
const RUBRICS: (&str, &str) = ("POST", "/api/assignments/{a}/rubrics");
const COPIES: (&str, &str) = ("POST", "/api/assignments/{a}/copies");
const RUNS: (&str, &str) = ("POST", "/api/assignments/{a}/runs");

fn new_assignments() -> Vec<Case> {
    let with = |field: &str, value: Value| {
        let mut body = json!({ "title": "Devoir", "subject": "Histoire", "level": "3e" });
        body[field] = value;
        body
    };
    let invalid = (422, "invalid-text");
    let large = format!(r#"{{"title": "{}"}}"#, "x".repeat(256 * 1024));
    vec![
        case("half a body", ASSIGNMENTS, r#"{"title":"#, MALFORMED, None),
        case(
            "two bodies",
            ASSIGNMENTS,
            r#"{"title":"a","subject":"b","level":"c"} {}"#,
            MALFORMED,
            None,
        ),
        case("a list", ASSIGNMENTS, "[]", MALFORMED, None),
        case(
            "an unknown field",
            ASSIGNMENTS,
            with("colour", json!("red")),
            MALFORMED,
            None,
        ),
        case(
            "no title",
            ASSIGNMENTS,
            json!({ "subject": "b", "level": "c" }),
            MALFORMED,
            None,
        ),
        case(
            "an unknown language",
            ASSIGNMENTS,
            with("language", json!("de")),
            MALFORMED,
            None,
        ),
        case(
            "an empty title",
            ASSIGNMENTS,
            with("title", json!(" ")),
            invalid,
            Some("title"),
        )
        .told("est vide : écrivez-le"),
        case(
            "a bell in the title",
            ASSIGNMENTS,
            with("title", json!("a\u{7}")),
            invalid,
            Some("title"),
        )
        .told("contrôle : retirez-le"),
        case(
            "a long pupil",
            ASSIGNMENTS,
            with("roster", json!(["é".repeat(101)])),
            invalid,
            Some("roster[0]"),
        )
        .told("raccourcissez-le à 100"),
        case(
            "a roster of a whole school",
            ASSIGNMENTS,
            with("roster", json!(vec!["Léa"; 201])),
            (422, "wrong-count"),
            Some("roster"),
        )
        .told("gardez ceux de cette classe"),
        case(
            "a name zone of half a page",
            ASSIGNMENTS,
            with("name_zone_percent", json!(50)),
            (422, "out-of-range"),
            Some("name_zone_percent"),
        )
        .told("donnez une hauteur entre les deux"),
        case(
            "a rounding that there is not",
            ASSIGNMENTS,
            with("rounding", json!("up")),
            (400, "malformed-body"),
            None,
        )
        .told("rounding"),
        case(
            "a body too large",
            ASSIGNMENTS,
            large,
            (413, "body-too-large"),
            None,
        ),
    ]
}

fn barèmes() -> Vec<Case> {
    let with = |place: &str, value: Value| {
        let mut rubric = sample_json("histoire/rubric.json");
        *rubric.pointer_mut(place).unwrap() = value;
        rubric
    };
    let mut unknown = sample_json("histoire/rubric.json");
    unknown["colour"] = json!("red");
    let first = "/questions/0/criteria/0/points";
    let wrong = (422, "invalid-rubric");
    vec![
        case(
            "questions that do not add up",
            RUBRICS,
            with("/total", json!("21")),
            wrong,
            Some("total"),
        )
        .told("corrigez les unes ou l’autre"),
        case(
            "criteria that do not add up",
            RUBRICS,
            with(first, json!("1")),
            wrong,
            Some("questions[0].points"),
        )
        .told("corrigez les uns ou l’autre"),
        case(
            "negative points",
            RUBRICS,
            with(first, json!("-1.5")),
            wrong,
            Some("questions[0].criteria[0].points"),
        ),
        case(
            "points between two steps",
            RUBRICS,
            with(first, json!("1.3")),
            wrong,
            Some("questions[0].criteria[0].points"),
        )
        .told("changez les points ou le pas"),
        case(
            "points that are no number",
            RUBRICS,
            with("/total", json!("vingt")),
            wrong,
            Some("total"),
        ),
        case("an unknown field", RUBRICS, unknown, wrong, Some("")),
        case("not JSON", RUBRICS, "barème", MALFORMED, None),
    ]
}

fn files() -> Vec<Case> {
    let file = |name: &str, size: Value| json!({ "files": [{ "name": name, "size_bytes": size }] });
    let many = |count: usize| json!({ "files": vec![json!({ "name": "a.pdf", "size_bytes": 1 }); count] });
    let size = (422, "file-size");
    let count = (422, "wrong-count");
    vec![
        case(
            "a text document",
            COPIES,
            file("copie.docx", json!(10)),
            (422, "not-a-pdf"),
            Some("files[0].name"),
        ),
        case(
            "a byte over 50 MB",
            COPIES,
            file("a.pdf", json!(52_428_801)),
            size,
            Some("files[0].size_bytes"),
        )
        .told("découpez-le"),
        case(
            "no byte at all",
            COPIES,
            file("a.pdf", json!(0)),
            size,
            Some("files[0].size_bytes"),
        )
        .told("est vide : exportez la copie de nouveau"),
        case(
            "less than no byte",
            COPIES,
            file("a.pdf", json!(-1)),
            MALFORMED,
            None,
        ),
        case(
            "a line break in the name",
            COPIES,
            file("a\n.pdf", json!(1)),
            (422, "invalid-text"),
            Some("files[0].name"),
        ),
        case("no file", COPIES, many(0), count, Some("files")).told("nommez au moins un fichier"),
        case("101 files", COPIES, many(101), count, Some("files")).told("envoyez-les en plusieurs fois"),
    ]
}

fn runs_and_lists() -> Vec<Case> {
    let unknown = "019aa000-0000-7000-8000-000000000009";
    let count = (422, "wrong-count");
    let cursor = (422, "invalid-cursor");
    let list = (422, "invalid-list");
    let get = |path: &'static str| ("GET", path);
    let missing = |about, door| case(about, door, "", NOT_FOUND, None);
    vec![
        case("no copy", RUNS, json!({ "copies": [] }), count, Some("copies")),
        case(
            "501 copies",
            RUNS,
            json!({ "copies": vec![unknown; 501] }),
            count,
            Some("copies"),
        ),
        case(
            "an unknown copy",
            RUNS,
            json!({ "copies": [unknown] }),
            NOT_FOUND,
            Some("copies[0]"),
        )
        .told("prenez les identifiants"),
        case(
            "not a copy",
            RUNS,
            json!({ "copies": ["../.."] }),
            NOT_FOUND,
            Some("copies[0]"),
        )
        .told("prenez les identifiants"),
        case(
            "an unknown barème",
            RUNS,
            json!({ "rubric_version": 9 }),
            NOT_FOUND,
            None,
        ),
        case(
            "an unknown field",
            RUNS,
            json!({ "model": "free" }),
            MALFORMED,
            None,
        ),
        missing(
            "no run of this id",
            get("/api/assignments/{a}/runs/019aa000-0000-7000-8000-000000000009"),
        ),
        missing(
            "the copies of no run",
            get("/api/assignments/{a}/runs/019aa000-0000-7000-8000-000000000009/copies"),
        ),
        missing(
            "the result of no copy",
            get("/api/assignments/{a}/copies/019aa000-0000-7000-8000-000000000009/result"),
        ),
        missing(
            "a form for no copy",
            (
                "POST",
                "/api/assignments/{a}/copies/019aa000-0000-7000-8000-000000000009/upload",
            ),
        ),
        case(
            "no run to stop",
            (
                "POST",
                "/api/assignments/{a}/runs/019aa000-0000-7000-8000-000000000009/stop",
            ),
            "",
            NOT_FOUND,
            None,
        ),
        missing("no run to retry", ("POST", "/api/assignments/{a}/runs/x/retry")),
        missing("no barème of this number", get("/api/assignments/{a}/rubrics/2")),
        missing("no barème of this name", get("/api/assignments/{a}/rubrics/x")),
        case(
            "a made-up cursor",
            get("/api/assignments?cursor=made-up!"),
            "",
            cursor,
            Some("cursor"),
        ),
        case(
            "a cursor out of the list",
            get("/api/assignments?cursor=QUNDT1VOVA"),
            "",
            cursor,
            Some("cursor"),
        ),
        case(
            "a list's place as a key",
            get("/api/assignments/{a}/copies?cursor=QDE"),
            "",
            cursor,
            Some("cursor"),
        ),
        case(
            "a limit in words",
            get("/api/assignments?limit=many"),
            "",
            list,
            Some("limit"),
        ),
        case(
            "a limit below nothing",
            get("/api/assignments/{a}/copies?limit=-1"),
            "",
            list,
            Some("limit"),
        ),
        case(
            "a limit of nothing",
            get("/api/assignments/{a}/runs?limit=0"),
            "",
            list,
            Some("limit"),
        ),
        case(
            "a limit over the longest page",
            get("/api/assignments/{a}/rubrics?limit=101"),
            "",
            list,
            Some("limit"),
        ),
        missing("a path that is no text", get("/api/assignments/%FF")),
        missing("an unknown path", get("/api/nothing")),
        missing("a path out of the API", get("/")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_a_problem_in_the_callers_language() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    for case in [new_assignments(), barèmes(), files(), runs_and_lists()]
        .into_iter()
        .flatten()
    {
        let path = case.path.replace("{a}", &assignment);
        let problem = teacher
            .refused((case.method, &path), &case.body, (case.status, case.code))
            .await;
        assert_eq!(problem["path"].as_str(), case.field, "{}: {problem}", case.about);
        let told = text(&problem, "detail");
        assert!(told.contains(case.remedy), "{}: {told}", case.about);
    }
    let listed = teacher.get("/api/assignments").await.ok();
    assert_eq!(
        listed["items"].as_array().unwrap().len(),
        1,
        "nothing was made, nothing was lost"
    );
    assert_eq!(listed["items"][0]["rubric_version"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_a_route_does_not_take_is_told_so() {
    let world = World::new().await;
    for (_, template) in world.routes() {
        let path = template.replace(['{', '}'], "");
        for method in ["DELETE", "PUT", "PATCH"] {
            let why = (405, "method-not-allowed");
            world.teacher().refused((method, &path), b"", why).await;
        }
    }
}
