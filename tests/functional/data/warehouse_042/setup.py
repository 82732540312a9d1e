from setuptools import find_packages, setup

setup(
    name='warehouse',
    version='3.2.0',
    packages=find_packages(),
    install_requires=[
        'pysoa~=0.42',
        'six',
    ],
    tests_require=['mock'],
    python_requires='>=2.7',
)
