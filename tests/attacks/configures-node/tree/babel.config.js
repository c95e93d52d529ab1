module.exports = { plugins: ["./evil.cjs"] };
