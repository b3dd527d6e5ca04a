import CCurl

/// The `Retry-After` header (RFC 9110, 10.2.3).
public enum RetryAfter {
    /// A day: whoever asks for more is asked again.
    public static let mostMs = 86_400_000

    /// How long to wait, at most a day; nil when the text is neither seconds nor a date.
    /// - Parameter nowS: seconds since the Unix epoch.
    public static func ms(_ text: String, nowS: Int) -> Int? {
        let digits = text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        if digits, !text.isEmpty {
            return min(Int(text) ?? mostMs, mostMs / 1000) * 1000
        }
        let dateS = curl_getdate(text, nil)
        guard dateS >= 0 else { return nil }
        return min(max(0, dateS - nowS), mostMs / 1000) * 1000
    }
}
