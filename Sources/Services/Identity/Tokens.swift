import Bytes

/// The API's bearer tokens, as the tokens file lists them: a line `name role sha256-of-the-token [rate]` each, `#`
/// comments. The file holds no secret, and neither does this. It is a snapshot: another file is another value.
public struct Tokens: Sendable, Equatable {
    private struct Entry: Sendable, Equatable {
        let digest: TokenDigest
        let caller: Caller

        static func == (left: Entry, right: Entry) -> Bool {
            left.caller == right.caller && left.digest.mask(equals: right.digest) != 0
        }
    }

    private let entries: [Entry]

    /// How often a token's name may call, for those names that have a rate; requests with any token of the name count.
    public let rates: [TokenRate]

    public var isEmpty: Bool { entries.isEmpty }

    public var count: Int { entries.count }

    public static let none = Tokens(entries: [], rates: [])

    /// With each lookup all entries are compared, so there is an end to how many there can be.
    public static let mostEntries = 1000
    static let longestName = 64

    private init(entries: [Entry], rates: [TokenRate]) {
        self.entries = entries
        self.rates = rates
    }

    /// A line that is not as it should be. It names the line and never shows what is in it.
    public struct FileError: Error, CustomStringConvertible {
        public let description: String

        init(line: Int, _ words: String) { description = "line \(line): \(words)" }
    }

    public init(file text: String) throws(FileError) {
        var entries: [Entry] = []
        var lines: [Int] = []
        var rates: [String: TokenRate?] = [:]
        // By \.isNewline, since a line end of Windows is one character of its own.
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            let number = index + 1
            let (entry, rate) = try Tokens.entry(words, line: number)
            if let twin = entries.firstIndex(where: { $0.digest.mask(equals: entry.digest) != 0 }) {
                throw FileError(line: number, "the token is that of line \(lines[twin])")
            }
            if let known = rates[first], known != rate {
                throw FileError(line: number, "the name has another rate in an earlier line")
            }
            guard entries.count < Tokens.mostEntries else {
                throw FileError(line: number, "there are more than \(Tokens.mostEntries) tokens")
            }
            rates[first] = .some(rate)
            entries.append(entry)
            lines.append(number)
        }
        self.entries = entries
        self.rates = rates.values.compactMap { $0 }.sorted { $0.name < $1.name }
    }

    private static func entry(_ words: [String], line: Int) throws(FileError) -> (Entry, TokenRate?) {
        guard words.count == 3 || words.count == 4 else {
            throw FileError(line: line, "expected `name role sha256` and, if it has one, a rate")
        }
        let name = words[0]
        guard name.utf8.count <= longestName, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw FileError(line: line, "the name must be at most \(longestName) visible ASCII characters")
        }
        guard let role = Role(rawValue: words[1]) else {
            let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
            throw FileError(line: line, "the role must be one of \(known)")
        }
        guard let digest = TokenDigest(hex: words[2]) else {
            throw FileError(line: line, "the third word must be 64 hexadecimal digits")
        }
        var rate: TokenRate?
        if words.count == 4 {
            guard let read = TokenRate(words[3], name: name) else {
                throw FileError(line: line, "the rate must be a number per s, m or h, such as 100/s")
            }
            rate = read
        }
        return (Entry(digest: digest, caller: Caller(name: name, role: role, token: digest)), rate)
    }

    /// Whose token this is. Every entry is compared, each in the same time, and no branch is taken on the way.
    public func caller(bearing token: ByteView) -> Caller? {
        let digest = TokenDigest(of: token)
        var found = 0
        for i in 0..<entries.count { found |= entries[i].digest.mask(equals: digest) & (i &+ 1) }
        return found > 0 ? entries[found &- 1].caller : nil
    }

    /// The caller of a request by its `Authorization` header.
    public func authenticate(authorization: ByteView?) throws(Problem) -> Caller {
        if isEmpty { return .local }
        guard let authorization else {
            throw Problem(.unauthenticated, "a token is needed: Authorization: Bearer …")
        }
        guard let caller = caller(authorization: authorization) else {
            throw Problem(.unauthenticated, "the token is not known here")
        }
        return caller
    }

    /// The caller by its `Authorization` header; nil when it bears no token of ours.
    public func caller(authorization: ByteView) -> Caller? {
        guard authorization.count > 7, authorization.slice(0, 7).equalsIgnoringCase("bearer ") else { return nil }
        return caller(bearing: authorization.dropFirst(7).trimmed)
    }

    /// Whether a caller that was known to an earlier snapshot still is, with the same token and a role that will do.
    func stillKnows(_ caller: Caller, for role: Role) -> Bool {
        guard let token = caller.token else { return isEmpty }
        guard let entry = entries.first(where: { $0.digest.mask(equals: token) != 0 }) else { return false }
        return entry.caller.role.includes(role)
    }
}

/// How often the tokens of one name may call our API: `100/s`, at once or spread.
public struct TokenRate: Sendable, Equatable {
    public enum Unit: String, Sendable, CaseIterable {
        case s, m, h

        public var ms: Int {
            switch self {
            case .s: 1000
            case .m: 60_000
            case .h: 3_600_000
            }
        }
    }

    public let name: String
    public let limit: Int
    public let unit: Unit

    init?(_ text: String, name: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let limit = Int(parts[0]),
            (1...1_000_000).contains(limit), let unit = Unit(rawValue: String(parts[1]))
        else { return nil }
        self.name = name
        self.limit = limit
        self.unit = unit
    }
}
