import CCurl

/// The `Retry-After` header (RFC 9110, 10.2.3).
public enum RetryAfter {
    /// A day: whoever asks for more is asked again.
    public static let mostMs = 86_400_000

    /// How long to wait, at most a day; nil when the text is neither seconds nor a date.
    /// - Parameters:
    ///   - date: the answer's own `Date`, from which its times count, whatever our clock says.
    ///   - nowS: seconds since the Unix epoch, for an answer that has none.
    public static func ms(_ text: String, date: String? = nil, nowS: Int) -> Int? {
        let digits = text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        if digits, !text.isEmpty {
            return min(Int(text) ?? mostMs, mostMs / 1000) * 1000
        }
        let dateS = curl_getdate(text, nil)
        guard dateS >= 0 else { return nil }
        let answeredS = date.map { curl_getdate($0, nil) } ?? -1
        return min(max(0, dateS - (answeredS >= 0 ? answeredS : nowS)), mostMs / 1000) * 1000
    }
}
