//! Text that somebody else chose, made harmless for each place that it is put into.
//!
//! What does not show is escaped first, as everywhere ([`Untrusted`]): no control character, no line break, no
//! escape sequence of a terminal, no bidirectional override goes into any text for people.

use haldane_core::Untrusted;

use super::file::Markup;

/// Shows nothing, and keeps two characters from meaning something together.
const BREAK: char = '\u{200b}';

impl Markup {
    /// All, by the name of their filter.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("text", Self::Text),
        ("plain", Self::Plain),
        ("html", Self::Html),
        ("slack", Self::Slack),
        ("markdown", Self::Markdown),
    ];

    /// The name of its filter.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, markup)| *markup == self).map_or("text", |(name, _)| name)
    }

    /// Text as this markup shows it: nobody is mentioned by it, nothing is a link that somebody could click.
    pub(super) fn neutral(self, text: &str) -> String {
        let shown = Untrusted::new(text).to_string();
        let mut out = String::with_capacity(shown.len());
        let mut rest = shown.chars();
        while let Some(c) = rest.next() {
            match (self, c) {
                (_, ':') if rest.clone().take(2).eq(['/', '/']) => out.extend([':', BREAK]),
                (Self::Text, c) => out.push(c),
                (_, '@') => out.extend(['@', BREAK]),
                (Self::Html | Self::Slack, '&') => out.push_str("&amp;"),
                (Self::Html | Self::Slack, '<') => out.push_str("&lt;"),
                (Self::Html | Self::Slack, '>') => out.push_str("&gt;"),
                (Self::Html, '"') => out.push_str("&quot;"),
                // It would end a piece of code; there is no way to write it there.
                (Self::Slack, '`') => out.push('\u{2cb}'),
                (Self::Slack, '*' | '_' | '~') => out.extend([c, BREAK]),
                (Self::Plain, '<' | '*' | '_' | '~' | '`') => out.extend([c, BREAK]),
                (Self::Markdown, c) if MARKDOWN.contains(c) => out.extend(['\\', c]),
                (_, c) => out.push(c),
            }
        }
        out
    }
}

/// What means something within a line of Markdown, in any of its dialects. Marks that mean something only where a line
/// begins (`1.`, `-`) do not stand there: templates put words of ours before a value.
const MARKDOWN: &str = "\\`*_~|<>[]#";

/// A value within a header: printable ASCII alone.
pub(super) fn header(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Cuts text to that many UTF-16 units, an ellipsis included.
pub(super) fn cut(text: &str, most: usize) -> String {
    fit(text, most, char::len_utf16)
}

/// Cuts text to that many bytes, an ellipsis included.
pub(super) fn cut_bytes(text: &str, most: usize) -> String {
    fit(text, most, char::len_utf8)
}

fn fit(text: &str, most: usize, length: fn(char) -> usize) -> String {
    let all = |text: &str| text.chars().map(length).fold(0, usize::saturating_add);
    if all(text) <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(length('…'));
    let mut out = String::new();
    for c in text.chars() {
        let Some(left) = room.checked_sub(length(c)) else { break };
        room = left;
        out.push(c);
    }
    if most >= length('…') {
        out.push('…');
    }
    out
}

/// Leaves out whole lines at the end, so that no markup is torn; a first line that is too long is cut.
pub(super) fn fit_lines(text: &str, most: usize, bytes: bool) -> String {
    let length: fn(char) -> usize = if bytes { char::len_utf8 } else { char::len_utf16 };
    let size = |text: &str| text.chars().map(length).fold(0, usize::saturating_add);
    let text = text.trim_end();
    if size(text) <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(size("\n…"));
    let mut lines = Vec::new();
    for line in text.lines() {
        // With the line break before the next.
        let Some(left) = room.checked_sub(size(line).saturating_add(1)) else { break };
        room = left;
        lines.push(line);
    }
    match lines.as_slice() {
        [] => fit(text, most, length),
        lines => format!("{}\n…", lines.join("\n").trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_each_markup_mean_nothing_in_a_value() {
        let hostile = "<b>&amp;*_~`@everyone <!channel> [x](https://evil.example)\r\n\u{1b}[31m{{7*7}}";
        let shown = |markup: Markup| markup.neutral(hostile);
        assert_eq!(
            shown(Markup::Html),
            "&lt;b&gt;&amp;amp;*_~`@\u{200b}everyone &lt;!channel&gt; [x](https:\u{200b}//evil.example)\\r\\n\\u{1b}[31m{{7*7}}"
        );
        assert_eq!(
            shown(Markup::Slack),
            "&lt;b&gt;&amp;amp;*\u{200b}_\u{200b}~\u{200b}\u{2cb}@\u{200b}everyone &lt;!channel&gt; [x](https:\u{200b}//evil.example)\\r\\n\\u{1b}[31m{{7*\u{200b}7}}"
        );
        assert_eq!(
            shown(Markup::Markdown),
            "\\<b\\>&amp;\\*\\_\\~\\`@\u{200b}everyone \\<!channel\\> \\[x\\](https:\u{200b}//evil.example)\\\\r\\\\n\\\\u{1b}\\[31m{{7\\*7}}"
        );
        assert!(shown(Markup::Plain).contains("<\u{200b}!channel>"));
        assert!(shown(Markup::Text).starts_with("<b>&amp;*_~`@everyone"));
        assert_eq!(Markup::Markdown.neutral("10.0.0.5:21 C:/x"), "10.0.0.5:21 C:/x");
        for (_, markup) in Markup::ALL {
            assert!(!shown(markup).contains(char::is_control));
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_lines_and_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        // Two units of UTF-16 each.
        assert_eq!(cut("😀😀😀", 5), "😀😀…");
        assert_eq!(cut_bytes("äöü", 5), "ä…");
        assert_eq!(
            fit_lines("<b>one</b>\n<b>two</b>\n<b>three</b>\n", 24, false),
            "<b>one</b>\n<b>two</b>\n…"
        );
        assert_eq!(fit_lines("<b>one</b>\n<b>two</b>\n<b>three</b>\n", 23, false), "<b>one</b>\n…");
        assert_eq!(fit_lines("abcdefgh", 4, true), "a…");
    }

    #[test]
    fn a_header_holds_no_more_than_its_own_characters() {
        assert_eq!(header("a\r\nX: y\u{e9}"), "a??X: y?");
    }
}
