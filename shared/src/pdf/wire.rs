//! What passes between the reader and its child: frames of one tag byte, a little-endian length, a payload.
//!
//! To the child: its [`Order`] as one bare length-prefixed JSON, then the file until the end. From the
//! child: for each page [`Tag::Page`], preceded by [`Tag::Image`] when it has one; last [`Tag::End`] or
//! [`Tag::Refused`]. The child is not trusted: every length is checked before anything is allocated.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::document::{HiddenText, Page, PageImage};
use super::limits::{Images, Limits};
use super::rejected::Refusal;

/// The longest order, and the longest page: a page of 200,000 letters takes about 12 MB.
const ORDER_BYTES_MAX: usize = 1024 * 1024;
const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the child is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) limits: Limits,
    pub(super) images: Images,
    /// The file's length, in bytes.
    pub(super) bytes: u64,
}

impl Order {
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut frame = length(json.len())?.to_vec();
        frame.extend_from_slice(&json);
        Ok(frame)
    }

    pub(super) fn decode(from: &mut impl Read) -> io::Result<Self> {
        let mut size = [0; 4];
        from.read_exact(&mut size)?;
        let size = u32::from_le_bytes(size) as usize;
        if size > ORDER_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut json = vec![0; size];
        from.read_exact(&mut json)?;
        Ok(serde_json::from_slice(&json)?)
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Page = 1,
    Image = 2,
    End = 3,
    Refused = 4,
}

/// A page and what was hidden on it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PageFrame {
    pub(super) page: Page,
    pub(super) hidden: Vec<HiddenText>,
}

/// The child's side.
pub(super) struct Sender<W: Write>(pub(super) W);

impl<W: Write> Sender<W> {
    pub(super) fn page(&mut self, frame: &PageFrame) -> io::Result<()> {
        if let Some(image) = &frame.page.image {
            self.0.write_all(&[Tag::Image as u8])?;
            self.0.write_all(&length(image.jpeg.len() + 8)?)?;
            self.0.write_all(&image.width.to_le_bytes())?;
            self.0.write_all(&image.height.to_le_bytes())?;
            self.0.write_all(&image.jpeg)?;
        }
        self.json(Tag::Page, frame)?;
        self.0.flush()
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        self.json(Tag::End, &())?;
        self.0.flush()
    }

    pub(super) fn refused(&mut self, why: &Refusal) -> io::Result<()> {
        self.json(Tag::Refused, why)?;
        self.0.flush()
    }

    fn json(&mut self, tag: Tag, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_vec(value)?;
        self.0.write_all(&[tag as u8])?;
        self.0.write_all(&length(json.len())?)?;
        self.0.write_all(&json)
    }
}

fn length(bytes: usize) -> io::Result<[u8; 4]> {
    u32::try_from(bytes)
        .map(u32::to_le_bytes)
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

/// What the reader hears.
pub(super) enum Heard {
    Page(Box<PageFrame>),
    End,
    Refused(Refusal),
}

/// Why the reader hears no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deaf {
    /// The pipe ended where a frame should be: the child is dead.
    Gone,
    /// The answer is too long, or is not one.
    Nonsense,
}

/// The reader's side, which stops at `budget` bytes.
pub(super) struct Receiver<R> {
    from: R,
    budget: u64,
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    pub(super) fn new(from: R, budget: u64) -> Self {
        Self { from, budget }
    }

    pub(super) async fn next(&mut self) -> Result<Heard, Deaf> {
        let (tag, payload) = self.frame().await?;
        let heard = match tag {
            Tag::Image => {
                let image = parse_image(payload)?;
                let (tag, payload) = self.frame().await?;
                let mut frame = parse_page(tag, &payload)?;
                frame.page.image = Some(image);
                Heard::Page(Box::new(frame))
            }
            Tag::Page => Heard::Page(Box::new(parse_page(tag, &payload)?)),
            Tag::End => Heard::End,
            Tag::Refused => Heard::Refused(serde_json::from_slice(&payload).map_err(|_| Deaf::Nonsense)?),
        };
        Ok(heard)
    }

    async fn frame(&mut self) -> Result<(Tag, Vec<u8>), Deaf> {
        let mut head = [0; 5];
        self.from.read_exact(&mut head).await.map_err(|_| Deaf::Gone)?;
        let [tag, size @ ..] = head;
        let tag = match tag {
            1 => Tag::Page,
            2 => Tag::Image,
            3 => Tag::End,
            4 => Tag::Refused,
            _ => return Err(Deaf::Nonsense),
        };
        let size = u32::from_le_bytes(size);
        self.budget = self.budget.checked_sub(u64::from(size)).ok_or(Deaf::Nonsense)?;
        let size = usize::try_from(size).map_err(|_| Deaf::Nonsense)?;
        if size > FRAME_BYTES_MAX {
            return Err(Deaf::Nonsense);
        }
        let mut payload = vec![0; size];
        self.from.read_exact(&mut payload).await.map_err(|_| Deaf::Gone)?;
        Ok((tag, payload))
    }
}

fn parse_page(tag: Tag, payload: &[u8]) -> Result<PageFrame, Deaf> {
    if tag != Tag::Page {
        return Err(Deaf::Nonsense);
    }
    serde_json::from_slice(payload).map_err(|_| Deaf::Nonsense)
}

fn parse_image(mut payload: Vec<u8>) -> Result<PageImage, Deaf> {
    let [w0, w1, w2, w3, h0, h1, h2, h3, 0xff, 0xd8, ..] = payload[..] else {
        return Err(Deaf::Nonsense);
    };
    let (width, height) = (
        u32::from_le_bytes([w0, w1, w2, w3]),
        u32::from_le_bytes([h0, h1, h2, h3]),
    );
    let side_max = u32::from(Images::LONG_SIDE_PX_MAX);
    if width == 0 || height == 0 || width > side_max || height > side_max {
        return Err(Deaf::Nonsense);
    }
    payload.drain(..8);
    Ok(PageImage {
        jpeg: payload,
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use super::{Deaf, Heard, Receiver, Refusal, Sender};

    async fn hear(bytes: &[u8], budget: u64) -> Result<Heard, Deaf> {
        Receiver::new(bytes, budget).next().await
    }

    #[tokio::test]
    async fn an_answer_is_never_believed_on_its_length() {
        let huge = [1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(
            hear(&huge, u64::MAX).await.err(),
            Some(Deaf::Nonsense),
            "frame over its bound"
        );
        let over_budget = [1, 100, 0, 0, 0];
        assert_eq!(
            hear(&over_budget, 99).await.err(),
            Some(Deaf::Nonsense),
            "answer over its bound"
        );
        assert_eq!(
            hear(&[9, 0, 0, 0, 0], 99).await.err(),
            Some(Deaf::Nonsense),
            "unknown tag"
        );
        assert_eq!(
            hear(&[1, 2, 0, 0, 0, b'{', b'}'], 99).await.err(),
            Some(Deaf::Nonsense),
            "not a page"
        );
        assert_eq!(
            hear(&[2, 3, 0, 0, 0, 1, 2, 3], 99).await.err(),
            Some(Deaf::Nonsense),
            "not an image"
        );
        assert_eq!(
            hear(&[1, 50, 0, 0, 0, 1], 99).await.err(),
            Some(Deaf::Gone),
            "cut"
        );
        assert_eq!(hear(&[], 99).await.err(), Some(Deaf::Gone), "silent");
    }

    #[tokio::test]
    async fn a_refusal_comes_back_as_it_was_sent() {
        let mut bytes = Vec::new();
        let why = Refusal::TooManyPages { pages: 201, max: 200 };
        Sender(&mut bytes)
            .refused(&why)
            .expect("a vector takes everything");
        let heard = hear(&bytes, 1_000).await.expect("whole");
        assert!(matches!(heard, Heard::Refused(back) if back == why));
    }
}
