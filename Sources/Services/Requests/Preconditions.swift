import Bytes
import HTTP

/// What `If-Match` asks for.
public enum IfMatch: Sendable, Equatable {
    case anything
    case versions([Int])

    /// Refuses a version that is not asked for.
    public func check(_ version: Int) throws(Problem) {
        if case .versions(let versions) = self, !versions.contains(version) {
            throw Problem(.preconditionFailed, "it has changed: its version is \(version) now")
        }
    }
}

extension Exchange {
    /// The request's `If-Match`: `"3"`, several, or `*`; none means anything.
    public func ifMatch() throws(Problem) -> IfMatch {
        guard let header = header("if-match") else { return .anything }
        if header == "*" { return .anything }
        var versions: [Int] = []
        for part in header.string.split(separator: ",") {
            let tag = part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
            let text = String(tag)
            guard text.count > 2, text.hasPrefix("\""), text.hasSuffix("\"") else {
                throw .field("If-Match", "must be the ETag as it was given, such as \"3\"")
            }
            // A tag that is none of ours matches nothing, which is no error.
            versions.append(Int(text.dropFirst().dropLast()) ?? -1)
        }
        return .versions(versions)
    }
}
