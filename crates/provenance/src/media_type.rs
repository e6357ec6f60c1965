//! What kind of media a file is, by its first bytes.

use std::fmt;

/// The media files that get C2PA manifests; every other file gets a sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// WAV.
    Wav,
}

impl MediaType {
    const ALL: [Self; 5] = [Self::Jpeg, Self::Png, Self::Gif, Self::Webp, Self::Wav];

    /// By the file's content.
    ///
    /// ```
    /// use probity_provenance::media_type::MediaType;
    /// assert_eq!(MediaType::of(b"GIF89a..."), Some(MediaType::Gif));
    /// assert_eq!(MediaType::of(b"a poem"), None);
    /// ```
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let riff = |kind: &[u8]| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(kind);
        Some(match bytes {
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Png,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            _ if riff(b"WEBP") => Self::Webp,
            _ if riff(b"WAVE") => Self::Wav,
            _ => return None,
        })
    }

    /// By the extension of its name, which may be wrong.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let extension = extension.to_ascii_lowercase();
        let extension = if extension == "jpeg" { "jpg" } else { extension.as_str() };
        Self::ALL.into_iter().find(|media_type| media_type.extension() == extension)
    }

    /// Its usual extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Wav => "wav",
        }
    }

    /// Its name in the registry of media types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Wav => "audio/wav",
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
