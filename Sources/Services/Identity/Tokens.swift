import Bytes
import Digests

/// What a caller may do. Each role includes the ones before it, but `work` and `sell`, which
/// stand beside each other.
public enum Role: String, Sendable, CaseIterable {
    /// Ask for decisions only.
    case check
    /// Read everything, and ask for decisions.
    case read
    /// The worker calls, and read.
    case work
    /// Reserve stock, confirm and cancel, and read.
    case sell
    case admin

    public func includes(_ needed: Role) -> Bool {
        switch self {
        case .admin: true
        case .work: needed != .admin && needed != .sell
        case .sell: needed != .admin && needed != .work
        case .read: needed == .read || needed == .check
        case .check: needed == .check
        }
    }
}

/// Who calls: a token's name and role, or anybody on loopback when no tokens are configured.
public struct Caller: Sendable, Equatable {
    public let name: String
    public let role: Role

    public init(name: String, role: Role) {
        self.name = name
        self.role = role
    }

    /// The caller of a server without tokens, which listens on loopback only.
    public static let local = Caller(name: "local", role: .admin)
}

/// The API's bearer tokens, as the tokens file lists them: a line `name role sha256-of-the-token` each, `#` comments.
/// The file holds no secret, and neither does this.
public struct Tokens: Sendable {
    private struct Entry: Sendable {
        let caller: Caller
        let digest: [UInt8]
    }

    private let entries: [Entry]

    public var isEmpty: Bool { entries.isEmpty }

    public static let none = Tokens(entries: [])

    private init(entries: [Entry]) { self.entries = entries }

    /// A line that is not as it should be.
    public struct FileError: Error, CustomStringConvertible {
        public let description: String
    }

    public init(file text: String) throws(FileError) {
        var entries: [Entry] = []
        // By \.isNewline, since a line end of Windows is one character of its own.
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            guard words.count == 3 else {
                throw FileError(description: "line \(index + 1): expected `name role sha256`")
            }
            guard let role = Role(rawValue: words[1]) else {
                let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
                throw FileError(description: "line \(index + 1): the role must be one of \(known)")
            }
            guard let digest = Hex.decode(words[2]), digest.count == 32 else {
                throw FileError(description: "line \(index + 1): the third word must be 64 hexadecimal digits")
            }
            entries.append(Entry(caller: Caller(name: words[0], role: role), digest: digest))
        }
        self.entries = entries
    }

    /// Whose token this is. Every entry is compared, in constant time each, so that the time taken tells nothing.
    public func caller(bearing token: ByteView) -> Caller? {
        let digest = SHA256.hash(token)
        var found: Caller?
        digest.withByteView { digest in
            for entry in entries where entry.digest.withByteView({ constantTimeEquals($0, digest) }) {
                found = entry.caller
            }
        }
        return found
    }

    /// The caller of a request by its `Authorization` header.
    public func authenticate(authorization: ByteView?) throws(Problem) -> Caller {
        if isEmpty { return .local }
        guard let authorization else {
            throw Problem(.unauthenticated, "a token is needed: Authorization: Bearer …")
        }
        guard authorization.count > 7, authorization.slice(0, 7).equalsIgnoringCase("bearer "),
            let caller = caller(bearing: authorization.dropFirst(7).trimmed)
        else {
            throw Problem(.unauthenticated, "the token is not known here")
        }
        return caller
    }
}

/// Hexadecimal text.
public enum Hex {
    /// The bytes of an even number of hexadecimal digits; nil for anything else.
    public static func decode(_ text: String) -> [UInt8]? {
        let digits = text.utf8.map { digit -> UInt8? in
            switch digit {
            case 0x30...0x39: digit - 0x30
            case 0x61...0x66: digit - 0x61 + 10
            case 0x41...0x46: digit - 0x41 + 10
            default: nil
            }
        }
        guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0]! << 4 | digits[$0 + 1]! }
    }
}
