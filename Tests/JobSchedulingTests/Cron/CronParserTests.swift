import JobScheduling
import Testing

struct CronParserTests {
    @Test(arguments: [
        ("60 * * * *", "minute"), ("*/0 * * * *", "minute"), ("5-1 * * * *", "minute"), ("1,,2 * * * *", "minute"),
        ("1, * * * *", "minute"), ("-1 * * * *", "minute"), ("1.5 * * * *", "minute"), ("*/* * * * *", "minute"),
        ("** * * * *", "minute"), ("5/ * * * *", "minute"), ("/5 * * * *", "minute"), ("1-2-3 * * * *", "minute"),
        ("1/2/3 * * * *", "minute"), ("99999999999999999999 * * * *", "minute"), ("٣ * * * *", "minute"),
        ("MON * * * *", "minute"), ("L * * * *", "minute"), ("* 24 * * *", "hour"), ("* 1-24 * * *", "hour"),
        ("* * 0 * *", "day of month"), ("* * 32 * *", "day of month"), ("* * 15W * *", "day of month"),
        ("* * 1#2 * *", "day of month"), ("* * L-3 * *", "day of month"), ("* * ? * *", "day of month"),
        ("* * * 0 *", "month"), ("* * * 13 *", "month"), ("* * * FOO *", "month"), ("* * * JANUARY *", "month"),
        ("* * * L *", "month"), ("* * * * 8", "day of week"), ("* * * * FRI-SUN", "day of week"),
        ("* * * * MON#6", "day of week"), ("* * * * MON#0", "day of week"), ("* * * * MON#", "day of week"),
        ("* * * * #2", "day of week"), ("* * * * 1-5#2", "day of week"), ("* * * * FRIL", "day of week"),
        ("* * * * L", "day of week"), ("* * * * 8L", "day of week"), ("* * * * LW", "day of week"),
        ("* * 30 2 *", "day of month"), ("* * 31 4,6,9,11 *", "day of month"), ("* * */10 2 MON#5", "expression"),
        ("", "expression"), ("* * * *", "expression"), ("0 * * * * *", "expression"), ("* * * * *\n", "day of week"),
        ("@reboot", "expression"), ("@daily *", "expression"), ("@", "expression"), ("@every", "expression"),
        ("@every 999ms", "expression"), ("@every 0s", "expression"), ("@every 1", "expression"),
        ("@every 1s 2s", "expression"), ("@every -5s", "expression"), ("@every 101y", "expression"),
        ("@every 36526d", "expression"),
    ])
    func refusalsNameTheField(_ text: String, _ field: String) {
        let error = #expect(throws: CronError.self) { try Schedule(text) }
        #expect(error?.field == field)
        #expect(error?.detail.isEmpty == false)
    }

    @Test func refusalsSayWhatIsWrong() {
        #expect(throws: CronError.self) { try CronExpression("@daily") }
        let error = #expect(throws: CronError.self) { try CronExpression("60 * * * *") }
        #expect(error.map { "\($0)" } == "minute: 60 is not from 0 to 59")
        let many = #expect(throws: CronError.self) { try CronExpression("0 * * * * *") }
        #expect(many.map { "\($0)" }?.hasSuffix("not 6") == true)
    }

    /// Two ways to write the same.
    @Test(arguments: [
        ("* * * * 7", "* * * * 0"), ("* * * * sun", "* * * * 0"), ("* * * * 5-7", "* * * * 0,5,6"),
        ("* * * jan,Feb-APR *", "* * * 1-4 *"), ("* * * * MON-FRI", "* * * * 1,2,3,4,5"),
        ("0-59 * * * *", "0-29,30-59 * * * *"), ("5/20 * * * *", "5,25,45 * * * *"),
        ("7-40/10 * * * *", "7,17,27,37 * * * *"),
        ("*/25 * * * *", "*/25,0 * * * *"), ("*/99 * * * *", "*/60 * * * *"), ("\t*  * * *\t* ", "* * * * *"),
        ("* * L/2 * *", "* * L * *"), ("* * * * 7#1", "* * * * SUN#01"), ("* * * * 7L", "* * * * 0L"),
        ("* * * * 1/2", "* * * * 0,1,3,5"), ("00 01 * * *", "0 1 * * *"), ("1,1,1 * * * *", "1 * * * *"),
        // As cronsim has it: a range of one is a single number, and a step goes on from that.
        ("5-5/20 * * * *", "5,25,45 * * * *"),
    ])
    func sameMeaning(_ one: String, _ other: String) throws {
        #expect(try CronExpression(one) == CronExpression(other))
    }

    @Test(arguments: [
        ("* * * * 1", "* * * * 2"), ("* * L * *", "* * LW * *"), ("* * L * *", "* * 31 * *"),
        ("* * * * MON#1", "* * * * MON"), ("* * * * 1L", "* * * * MON#5"), ("* * 1 * *", "* * 1 * 1"),
        // A star changes how the days are joined, and what a change of the clock does.
        ("0 0 1-31 * 1", "0 0 * * 1"), ("0 0-23 * * *", "0 * * * *"), ("0-59 0 * * *", "* 0 * * *"),
    ])
    func otherMeaning(_ one: String, _ other: String) throws {
        #expect(try CronExpression(one) != CronExpression(other))
    }

    @Test func whatCanFireIsTaken() throws {
        for text in ["* * 30 2 1", "* * 29 2 *", "* * 31 4,5 *", "* * L 2 *", "* * * 2 MON#5", "* * LW 2 */6,5"] {
            #expect(throws: Never.self) { try CronExpression(text) }
        }
    }

    @Test func schedulesKeepTheirText() throws {
        #expect(try Schedule("@daily") == .cron(CronExpression("0 0 * * *"), text: "@daily"))
        #expect(try Schedule("@every 5m") == .every(ms: 300_000))
        #expect(try Schedule("@EVERY 1s") == .every(ms: 1000))
    }
}
