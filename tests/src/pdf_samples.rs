//! The sample copies are read as their README says.

use std::path::Path;

use shared::pdf::{HiddenReason, PageKind, Reader};

#[tokio::test]
async fn every_sample_copy_is_read_as_its_readme_says() {
    use PageKind::{Blank, Scanned, Typed};
    let cases = [
        ("histoire/durand-lea", Ok(vec![Typed, Typed])),
        ("histoire/martin-hugo", Ok(vec![Typed, Typed])),
        ("histoire/bernard-ines", Ok(vec![Typed])),
        ("histoire/petit-noah", Ok(vec![Typed])),
        ("histoire/lefebvre-sarah", Ok(vec![Typed])),
        ("histoire/moreau-camille", Ok(vec![Scanned, Scanned])),
        ("histoire/roux-theo", Ok(vec![Scanned])),
        ("histoire/fontaine-jules", Ok(vec![Blank])),
        ("histoire/garnier-lina", Err("pdf-truncated")),
        ("svt/rousseau-emma", Ok(vec![Typed, Typed])),
        ("svt/blanc-lucas", Ok(vec![Typed, Typed])),
        ("svt/chevalier-adam", Ok(vec![Typed; 5])),
        ("svt/lambert-chloe", Ok(vec![Typed])),
        ("svt/dupuis-eliott", Ok(vec![Typed])),
        ("svt/faure-manon", Ok(vec![Scanned, Scanned])),
        ("svt/mercier-yanis", Ok(vec![Scanned])),
        ("svt/girard-zoe", Err("pdf-encrypted")),
    ];
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let reader = Reader::with_program(env!("CARGO_BIN_EXE_pdf-child"));
    for (name, expected) in cases {
        let bytes = std::fs::read(samples.join(name).with_extension("pdf")).expect("a sample copy");
        let outcome = reader.read(&bytes).await;
        let kinds = outcome
            .as_ref()
            .map(|document| document.pages.iter().map(|page| page.kind).collect());
        assert_eq!(kinds.map_err(|rejected| rejected.code()), expected, "{name}");
        let Ok(document) = outcome else { continue };
        // Every sample is a portrait page, also the one that lies on its side in its file.
        for image in document.pages.iter().filter_map(|page| page.image.as_ref()) {
            assert!(image.height > image.width, "{name}");
        }
        let hidden: Vec<_> = document.hidden.iter().map(|found| found.reason).collect();
        match name {
            "histoire/lefebvre-sarah" => {
                assert_eq!(hidden, [HiddenReason::Tiny, HiddenReason::OffPage]);
                assert!(
                    document.hidden.iter().all(|found| found.excerpt.contains("20")),
                    "{:?}",
                    document.hidden
                );
            }
            _ => assert_eq!(hidden, [], "{name}"),
        }
    }
}
