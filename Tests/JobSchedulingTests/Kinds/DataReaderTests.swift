import JSON
import TestSupport
import Testing

@testable import JobScheduling

struct DataReaderTests {
    /// Each record as its line and its row, or what is wrong with it.
    private static func read(_ text: String, delimiter: UInt8 = 0x2C) throws -> [String] {
        try read(Array(text.utf8), delimiter: delimiter)
    }

    private static func read(_ bytes: [UInt8], delimiter: UInt8 = 0x2C) throws -> [String] {
        var reader = try DataReader(bytes, .csv, delimiter: delimiter)
        var records: [String] = []
        while let record = reader.next() {
            switch record.row {
            case .success(let row): records.append("\(record.line) \(row.json.text())")
            case .failure(let error): records.append("\(record.line) \(error.text)")
            }
        }
        return records
    }

    @Test func valuesAreReadByTheRules() throws {
        #expect(try DataReaderTests.read("a,b\n1,2\n") == [#"2 {"a":"1","b":"2"}"#])
        #expect(try DataReaderTests.read("a,b\r\n1,2") == [#"2 {"a":"1","b":"2"}"#])
        #expect(try DataReaderTests.read("a,b\n\"x,\"\"y\",\n") == [#"2 {"a":"x,\"y"}"#])
        #expect(
            try DataReaderTests.read("a,b\n\"1\r\n2\",\"\"\r\n3,4\r\n") == [
                #"2 {"a":"1\r\n2"}"#, #"4 {"a":"3","b":"4"}"#,
            ])
        #expect(try DataReaderTests.read("\n\r\na\n\n x \n") == [#"5 {"a":" x "}"#])
        #expect(try DataReaderTests.read("a\tb\n1\t2,3", delimiter: 9) == [#"2 {"a":"1","b":"2,3"}"#])
        #expect(try DataReaderTests.read("a,b\n,\n") == ["2 {}"])
        #expect(try DataReaderTests.read("\"a,b\"\n1\n") == [#"2 {"a,b":"1"}"#])
    }

    /// One bad record does not hide the next.
    @Test func badRecordsAreNamedByTheirLines() throws {
        #expect(
            try DataReaderTests.read("a,b\n1\n2,3,4\nx\"y,1\n\"x\"y,1\n5,6\n\"open,\n1,2\n") == [
                "2 has 1 values where 2 fields are named", "3 has 3 values where 2 fields are named",
                "4 has a quote inside a value that is not quoted", "5 has text behind a closing quote",
                #"6 {"a":"5","b":"6"}"#, "7 has a quote that is not closed, from line 7 on",
            ])
    }

    @Test func bytesThatAreNoTextAreBadRecords() throws {
        let bytes =
            Array("a,b\n".utf8) + [0xFF, 0x2C, 0x31, 0x0A] + Array("\"".utf8) + [0xFE] + Array("\",1\n5,6\n".utf8)
        let records = try DataReaderTests.read(bytes)
        #expect(records == ["2 is not UTF-8", "3 is not UTF-8", #"4 {"a":"5","b":"6"}"#])
    }

    @Test(arguments: ["", "\n\n", "a,\n", "a,a\n", "\"a", "a\"b\n"])
    func namesMustBeNames(_ text: String) {
        #expect(throws: RowError.self) { try DataReader(Array(text.utf8), .csv, delimiter: 0x2C) }
    }

    /// What is written by the rules is read as it was, whatever the values.
    @Test func randomTablesComeBack() throws {
        var random = SeededRandom()
        for _ in 0..<300 {
            let columns = Int.random(in: 1...5, using: &random)
            let table = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                (0..<columns).map { _ in
                    String(
                        (0..<Int.random(in: 0...6, using: &random)).map { _ in
                            "ab,\"\n\ré".randomElement(using: &random)!
                        })
                }
            }
            let names = (0..<columns).map { "c\($0)" }
            let text = ([names] + table).map { row in
                row.map { "\"" + $0.replacing("\"", with: "\"\"") + "\"" }.joined(separator: ",")
            }.joined(separator: "\r\n")
            var reader = try DataReader(Array(text.utf8), .csv, delimiter: 0x2C)
            for row in table {
                let read = try #require(try reader.next()?.row.get(), "\(random) \(text)")
                #expect(names.map { read[$0]?.text ?? "" } == row, "\(text)")
            }
            #expect(reader.next() == nil)
        }
    }
}
