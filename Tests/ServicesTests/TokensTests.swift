import Bytes
import Digests
import Services
import Testing

struct TokensTests {
    private let file = """
        # who        what   digest
        ci           read   \(digest("s3cret"))

          ops \t admin  \(digest("other").uppercased())
        gate check \(digest("g"))
        """

    @Test func namesTheCallerOfAToken() throws {
        let tokens = try Tokens(file: file)
        #expect(!tokens.isEmpty)
        #expect(caller(tokens, "s3cret") == Caller(name: "ci", role: .read))
        #expect(caller(tokens, "other") == Caller(name: "ops", role: .admin))
        #expect(caller(tokens, "S3cret") == nil)
        #expect(caller(tokens, "") == nil)
    }

    @Test func lineEndsOfAnySystem() throws {
        let tokens = try Tokens(file: file.split(separator: "\n").joined(separator: "\r\n") + "\r\n")
        #expect(caller(tokens, "s3cret")?.name == "ci")
        #expect(caller(tokens, "g")?.name == "gate")
    }

    @Test(arguments: [
        ("a read", "line 2"), ("a read x y", "line 2"), ("a king \(digest("x"))", "line 2"), ("a read 12ab", "line 2"),
        ("a read \(String(digest("x").dropLast()))g", "line 2"), ("a read \(digest("x")) 100", "line 2"),
        ("a read \(digest("x")) 0/s", "line 2"), ("a read \(digest("x")) 1/d", "line 2"),
        ("a read \(digest("x")) -1/s", "line 2"), ("a read \(digest("x")) 1000001/s", "line 2"),
        ("a read \(digest("x")) 1/s more", "line 2"), ("a\u{1B}[31m read \(digest("x"))", "line 2"),
        ("é read \(digest("x"))", "line 2"), (String(repeating: "a", count: 65) + " read \(digest("x"))", "line 2"),
        ("a read \(digest("x"))\nb admin \(digest("x"))", "line 3"),
        ("a read \(digest("x")) 1/s\na admin \(digest("y")) 2/s", "line 3"),
        ("a read \(digest("x")) 1/s\na admin \(digest("y"))", "line 3"),
    ])
    func aWrongLineIsNamed(_ line: String, _ place: String) {
        let error = #expect(throws: Tokens.FileError.self) { try Tokens(file: "# first\n" + line) }
        #expect(error?.description.hasPrefix(place) == true)
        // What stands in the line may be a token by mistake.
        for word in line.split(whereSeparator: \.isWhitespace) where word.count > 4 {
            #expect(error?.description.contains(word) == false)
        }
    }

    @Test func ratesGoWithNames() throws {
        let tokens = try Tokens(
            file: """
                b read \(digest("1")) 100/s
                b work \(digest("2")) 100/s
                a read \(digest("3"))
                a0 admin \(digest("4")) 6000/m
                c check \(digest("5")) 1000000/h
                """)
        #expect(tokens.count == 5)
        #expect(tokens.rates.map(\.name) == ["a0", "b", "c"])
        #expect(tokens.rates.map(\.limit) == [6000, 100, 1_000_000])
        #expect(tokens.rates.map(\.unit.ms) == [60_000, 1000, 3_600_000])
    }

    @Test func thereIsAnEndToHowManyThereAre() throws {
        let lines = (0..<Tokens.mostEntries).map { "a read \(digest("\($0)"))" }
        #expect(try Tokens(file: lines.joined(separator: "\n")).count == Tokens.mostEntries)
        let error = #expect(throws: Tokens.FileError.self) {
            try Tokens(file: (lines + ["b read \(digest("b"))"]).joined(separator: "\n"))
        }
        #expect(error?.description.hasPrefix("line 1001") == true)
    }

    @Test(arguments: ["Bearer s3cret", "bearer s3cret", "BEARER   s3cret "])
    func bearers(_ header: String) throws {
        let tokens = try Tokens(file: file)
        #expect(try header.withByteView { try tokens.authenticate(authorization: $0) }.name == "ci")
    }

    @Test(arguments: ["", "Bearer", "Bearer ", "Basic s3cret", "s3cret", "Bearer wrong", "Bearers3cret"])
    func strangers(_ header: String) throws {
        let tokens = try Tokens(file: file)
        let error = #expect(throws: Problem.self) {
            try header.withByteView { try tokens.authenticate(authorization: $0) }
        }
        #expect(error?.kind == .unauthenticated)
        #expect(error?.detail.contains("s3cret") == false)
    }

    @Test func withoutTokensAnybodyIsTheLocalAdministrator() throws {
        #expect(try Tokens.none.authenticate(authorization: nil) == .local)
        let tokens = try Tokens(file: file)
        let error = #expect(throws: Problem.self) { try tokens.authenticate(authorization: nil) }
        #expect(error?.kind == .unauthenticated)
    }

    @Test func rolesIncludeTheirLessers() {
        let included: [Role: Set<Role>] = [
            .check: [.check], .refund: [.check, .refund], .read: [.check, .read], .work: [.check, .read, .work],
            .sell: [.check, .read, .sell], .stock: [.check, .read, .stock], .admin: Set(Role.allCases),
        ]
        for role in Role.allCases {
            for needed in Role.allCases {
                #expect(role.includes(needed) == included[role]!.contains(needed), "\(role) \(needed)")
            }
        }
    }

    private func caller(_ tokens: Tokens, _ token: String) -> Caller? {
        token.withByteView { tokens.caller(bearing: $0) }
    }
}

private func digest(_ token: String) -> String {
    let buffer = ByteBuffer()
    token.withByteView { SHA256.hash($0) }.withByteView { buffer.append(hex: $0) }
    return buffer.view.string
}
